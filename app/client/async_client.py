"""The client for programs with an event loop; its twin is in `sync_client`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import httpx

from app.client import admin_calls, console_calls, library_calls, picture_calls, task_calls
from app.client.call import Connection, described
from app.client.parts import LocalFile, Sent, missing_parts
from app.client.retrying import Attempts, RetryPolicy
from app.client.waiting import pauses

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from app.client.call import Call
    from app.client.errors import ClientError
    from app.client.parts import OnBegun, OnSent, Part
    from app.client.task_results import Frame, ResultPage, Task, Upload

P = ParamSpec("P")
T = TypeVar("T")
#: Parts of one file that are on their way at the same time.
PARTS_AT_ONCE = 3


def _sent(build: Callable[P, Call[T]]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return a method that sends what this builds."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: ANN401 - each group of methods
        made: T = await self.send(build(*args, **kwargs))
        return made

    return described(method, build)


class _Part:
    """Some of the client's methods, under a name of their own."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def send(self, call: Call[T]) -> T:
        """Send a call."""
        return await self._client.send(call)


class Tasks(_Part):
    """Videos, pictures and animations, analysed in the background."""

    create = _sent(task_calls.create_task)
    create_mask = _sent(task_calls.create_mask_task)
    get = _sent(task_calls.get_task)
    list = _sent(task_calls.list_tasks)
    cancel = _sent(task_calls.cancel_task)
    delete = _sent(task_calls.delete_task)
    result_page = _sent(task_calls.get_result_page)
    persons = _sent(task_calls.list_persons_seen)

    async def watch(self, task_id: str, timeout_s: float | None = None) -> AsyncIterator[Task]:
        """Yield a task now and whenever it has moved on, the last time when it has ended.

        Raises:
            WaitedTooLong: it has not in this time; None waits for ever.
        """
        shown: tuple[str, float] | None = None
        for pause in pauses(task_id, timeout_s):
            task = await self.get(task_id)
            if (task.status, task.progress) != shown:
                shown = (task.status, task.progress)
                yield task
            if task.has_ended:
                return
            await asyncio.sleep(pause)

    async def wait(self, task_id: str, timeout_s: float | None = None) -> Task:
        """Return a task once it has ended, well or not.

        Raises:
            WaitedTooLong: it has not in this time.
        """
        return [task async for task in self.watch(task_id, timeout_s)][-1]

    async def result_pages(self, task_id: str) -> AsyncIterator[ResultPage]:
        """Yield a result's frames page by page; only one page is in memory."""
        cursor = None
        while True:
            page = await self.result_page(task_id, cursor)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    async def frames(self, task_id: str) -> AsyncIterator[Frame]:
        """Yield a result's frames, however many there are."""
        async for page in self.result_pages(task_id):
            for frame in page.frames:
                yield frame

    async def each(self, *, status: str | None = None, most: int | None = None) -> AsyncIterator[Task]:
        """Yield your tasks, newest first."""
        cursor, count = None, 0
        while True:
            page = await self.list(status=status, limit=100, cursor=cursor)
            for task in page.tasks:
                if count == most:
                    return
                count += 1
                yield task
            cursor = page.next_cursor
            if cursor is None:
                return


class Uploads(_Part):
    """Files of your own, in parts."""

    begin = _sent(task_calls.begin_upload)
    get = _sent(task_calls.get_upload)
    complete = _sent(task_calls.complete_upload)

    async def send_file(
        self,
        path: str | os.PathLike[str],
        *,
        upload_id: str | None = None,
        begun: Upload | None = None,
        on_sent: OnSent | None = None,
        on_begun: OnBegun | None = None,
    ) -> Upload:
        """Send a file, a few parts at a time, and return the upload.

        Args:
            path: the file.
            upload_id: of an upload of this file that was broken off: only what is missing is sent.
            begun: the upload itself, where it was just begun or asked for.
            on_sent: told how far it is after each part.
            on_begun: told the upload before the first part; keep its id to go on after a break.

        Raises:
            FileChanged: the file changed meanwhile.
        """
        file = await asyncio.to_thread(LocalFile.at, path)
        upload = begun or await (self.get(upload_id) if upload_id else self.begin(file.path.name, file.size))
        if on_begun is not None:
            on_begun(upload)
        parts = missing_parts(upload, file.size)
        sent = file.size - sum(part.size for part in parts)
        turns = asyncio.Semaphore(PARTS_AT_ONCE)

        async def send(part: Part) -> None:
            nonlocal sent
            async with turns:
                data = await asyncio.to_thread(file.read, part)
                await self.send(task_calls.put_part(part.url, data))
            sent += part.size
            if on_sent is not None:
                on_sent(Sent(sent, file.size))

        await _all(send(part) for part in parts)
        return upload if upload.status == "complete" else await self.complete(upload.upload_id)


class Libraries(_Part):
    """People whom the service shall recognise."""

    create = _sent(library_calls.create_library)
    list = _sent(library_calls.list_libraries)
    get = _sent(library_calls.get_library)
    change = _sent(library_calls.change_library)
    delete = _sent(library_calls.delete_library)
    enroll = _sent(library_calls.enroll)
    import_people = _sent(library_calls.import_people)
    persons = _sent(library_calls.list_persons)
    person = _sent(library_calls.get_person)
    change_person = _sent(library_calls.change_person)
    delete_person = _sent(library_calls.delete_person)
    delete_face = _sent(library_calls.delete_face)
    search = _sent(library_calls.search)


class Keys(_Part):
    """Clients' keys, for administrators."""

    create = _sent(admin_calls.create_key)
    list = _sent(admin_calls.list_keys)
    get = _sent(admin_calls.get_key)
    change = _sent(admin_calls.change_key)
    delete = _sent(admin_calls.delete_key)
    rotate_webhook_secret = _sent(admin_calls.rotate_webhook_secret)


class Admin(_Part):
    """What is kept and what was done, for administrators."""

    login = _sent(admin_calls.login)
    session = _sent(admin_calls.session)
    logout = _sent(admin_calls.logout)
    stats = _sent(admin_calls.stats)
    images = _sent(admin_calls.list_images)
    image = _sent(admin_calls.get_image)
    delete_image = _sent(admin_calls.delete_image)
    download_image = _sent(admin_calls.download_image)
    jobs = _sent(admin_calls.list_jobs)
    job = _sent(admin_calls.get_job)
    download_job = _sent(admin_calls.download_job)
    audit = _sent(admin_calls.audit)
    preview_mask = _sent(picture_calls.preview_mask)


class Console(_Part):
    """Everybody's tasks and libraries, and how the service is, for administrators: plain JSON."""

    overview = _sent(console_calls.overview)
    system = _sent(console_calls.system)
    preview_detect = _sent(console_calls.preview_detect)
    image_thumbnail = _sent(console_calls.image_thumbnail)
    job_thumbnail = _sent(console_calls.job_thumbnail)
    list_tasks = _sent(console_calls.list_tasks)
    get_task = _sent(console_calls.get_task)
    get_task_result = _sent(console_calls.get_task_result)
    get_task_media = _sent(console_calls.get_task_media)
    get_task_output = _sent(console_calls.get_task_output)
    cancel_task = _sent(console_calls.cancel_task)
    delete_task = _sent(console_calls.delete_task)
    replay_delivery = _sent(console_calls.replay_delivery)
    list_libraries = _sent(console_calls.list_libraries)
    create_library = _sent(console_calls.create_library)
    get_library = _sent(console_calls.get_library)
    delete_library = _sent(console_calls.delete_library)
    list_persons = _sent(console_calls.list_persons)
    get_person = _sent(console_calls.get_person)
    delete_person = _sent(console_calls.delete_person)
    delete_face = _sent(console_calls.delete_face)
    enroll = _sent(console_calls.enroll)
    search = _sent(console_calls.search)


class AsyncClient:
    """Facefleet over HTTP, for many calls at once.

    Args:
        connection: where it is and who asks; what the environment says where it is not given.
        policy: how patient to be.
        http: a client of your own to send with, for proxies and the like; it is left open.
        heard: told of each refusal that leads to a pause, with the pause.
    """

    def __init__(
        self,
        connection: Connection | None = None,
        policy: RetryPolicy | None = None,
        http: httpx.AsyncClient | None = None,
        heard: Callable[[ClientError, float], None] | None = None,
    ) -> None:
        self.connection = connection or Connection.from_environment()
        self._policy = policy or RetryPolicy()
        self._heard = heard
        self._owns = http is None
        self._http = http or httpx.AsyncClient(timeout=httpx.Timeout(self.connection.timeout_s, connect=10.0))
        self.tasks = Tasks(self)
        self.uploads = Uploads(self)
        self.libraries = Libraries(self)
        self.keys = Keys(self)
        self.admin = Admin(self)
        self.console = Console(self)

    health = _sent(picture_calls.health)
    detect = _sent(picture_calls.detect)
    mask = _sent(picture_calls.mask)
    compare = _sent(library_calls.compare)

    async def send(self, call: Call[T]) -> T:
        """Send a call, again where that may help and does no harm, and return what its answer means.

        Raises:
            ClientError: it was refused, or nobody answered.
        """
        attempts = Attempts(call, self._policy, self._heard)
        while True:
            outcome: httpx.Response | httpx.TransportError
            build = call.request
            if call.picture is None:
                request = build(self._http, self.connection)
            else:  # it reads a file
                request = await asyncio.to_thread(build, self._http, self.connection)
            try:
                outcome = await self._http.send(
                    request, auth=call.auth(self.connection), follow_redirects=call.follows
                )
            except httpx.TransportError as error:
                outcome = error
            pause = attempts.pause_s(outcome)
            if pause is None and isinstance(outcome, httpx.Response):
                return call.read(outcome)
            await asyncio.sleep(pause or 0.0)

    async def close(self) -> None:
        """Close the connections."""
        if self._owns:
            await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:  # noqa: PYI034 - Self needs Python 3.11
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of these; where one fails, none of the others goes on."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
