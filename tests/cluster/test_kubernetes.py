"""Manifests: what Kubernetes, Serve and the service read in them is valid, and they agree with each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from app.settings import Settings, unknown_variables
from cluster.environment import everywhere
from cluster.kubernetes.steps import first_step
from deployments import edge
from deployments.application import SHUTDOWN_S
from deployments.args import AppArgs

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "cluster" / "kubernetes"
BASE, GPU, MONITORING = (KUBERNETES / name for name in ("base", "gpu", "monitoring"))
#: Which of Kubernetes' versions the manifests are checked against.
VERSION = "1.36"
#: Kinds that are others' and have no schema with Kubernetes' own.
FOREIGN = {"RayService", "Kustomization", "PodMonitor", "PrometheusRule"}

Manifest = dict[str, Any]


def manifests(folder: Path) -> list[Manifest]:
    """Return everything that a folder's files declare."""
    found = []
    for file in sorted(folder.glob("*.yaml")):
        if file.name not in {"serve_config.yaml", "rayservice.patch.yaml"}:
            found += [each for each in yaml.safe_load_all(file.read_text()) if each]
    return found


def only(kind: str, folder: Path = BASE) -> Manifest:
    """Return the one manifest of this kind."""
    (found,) = [each for each in manifests(folder) if each["kind"] == kind]
    return found


def patched() -> Manifest:
    """Return the service with its GPU machines, as kustomize would make it."""
    service = only("RayService")
    for step in yaml.safe_load((GPU / "rayservice.patch.yaml").read_text()):
        *way, last = step["path"].strip("/").split("/")
        place: Any = service
        for name in way:
            place = place[name]
        if step["op"] == "add":
            assert last == "-"
            place.append(step["value"])
        else:
            assert step["op"] == "replace"
            assert last in place
            place[last] = step["value"]
    return service


SERVICES = {"cpu": only("RayService"), "gpu": patched()}
SHAPES = {"cpu": BASE / "serve_config.yaml", "gpu": GPU / "serve_config.yaml"}
POLICIES = {each["metadata"]["name"]: each for each in manifests(BASE) if each["kind"] == "NetworkPolicy"}


def groups(service: Manifest) -> dict[str, Manifest]:
    """Return the head's and the workers' groups by name."""
    cluster = service["spec"]["rayClusterConfig"]
    return {
        "head": cluster["headGroupSpec"],
        **{each["groupName"]: each for each in cluster["workerGroupSpecs"]},
    }


PODS = [
    pytest.param(group["template"], id=f"{kind}-{name}")
    for kind, service in SERVICES.items()
    for name, group in groups(service).items()
] + [pytest.param(only("Job")["spec"]["template"], id="migrate")]


@pytest.mark.parametrize(
    "manifest",
    [
        each
        for each in [
            *manifests(BASE),
            *manifests(MONITORING),
            *yaml.safe_load_all((KUBERNETES / "secrets.example.yaml").read_text()),
        ]
        if each["kind"] not in FOREIGN
    ],
    ids=lambda each: f"{each['kind']}-{each['metadata']['name']}",
)
def test_kubernetes_takes_every_manifest(manifest: Manifest) -> None:
    """Its own schemas allow each of them, with no field that it does not know."""
    kubernetes_validate.validate(manifest, VERSION, strict=True)
    assert manifest["metadata"].get("namespace", manifest["metadata"]["name"]) == "facefleet"


def test_a_wrong_field_is_noticed() -> None:
    """The check would fail for a typing error."""
    wrong = {**only("PodDisruptionBudget"), "spec": {"minAvailble": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("template", PODS)
def test_kubernetes_takes_every_pod(template: Manifest) -> None:
    """Templates inside of what KubeRay reads are pods as well, for which Kubernetes has a schema."""
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    kubernetes_validate.validate(pod, VERSION, strict=True)


@pytest.mark.parametrize("kind", SERVICES)
def test_workers_are_drained_before_they_end(kind: str) -> None:
    """The time for that is over before Kubernetes' patience is, and replicas have theirs within it."""
    for name, group in groups(SERVICES[kind]).items():
        if name == "head":
            continue
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        timeout, limit_s, *command, within_s = container["lifecycle"]["preStop"]["exec"]["command"]
        assert [timeout, *command] == ["timeout", "facefleet", "drain", "here", "--within"]
        assert SHUTDOWN_S < int(within_s) < int(limit_s) < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("template", PODS)
def test_pods_have_no_rights_that_they_do_not_need(template: Manifest) -> None:
    """No root, no capabilities, no way to more: what the namespace's `restricted` asks for."""
    pod = template["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
    assert only("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("template", PODS[:-1])
def test_pods_are_asked_whether_they_are_well(template: Manifest) -> None:
    """A worker takes requests once its edge answers; whoever's Ray is gone is replaced."""
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["metrics"] == 8080
    assert container["livenessProbe"]["httpGet"]["path"] == "/api/local_raylet_healthz"
    ready = container["readinessProbe"]["httpGet"]
    if template["metadata"]["labels"]["app.kubernetes.io/component"] == "worker":
        assert ready == {"path": "/-/healthz", "port": ports["serve"]}
    else:
        assert ready == {"path": "/api/gcs_healthz", "port": ports["dashboard"]}


@pytest.mark.parametrize("kind", SERVICES)
def test_serve_takes_the_shape(kind: str) -> None:
    """The text in the service is the file's; Serve's schema and the service's own arguments take it."""
    text = SERVICES[kind]["spec"]["serveConfigV2"]
    assert text.rstrip() == SHAPES[kind].read_text().rstrip()
    config = yaml.safe_load(text)
    ServeDeploySchema.model_validate(config)
    args = AppArgs.model_validate(config["applications"][0]["args"])
    placement = args.placement
    assert "auto" not in {placement.decode, placement.detector, placement.attributes}
    assert args.ingress.min_replicas >= 2
    assert args.tasks.max_per_node == 1


@pytest.mark.parametrize("kind", SERVICES)
def test_the_shape_is_that_of_one_box_but_for_what_a_cluster_needs(kind: str) -> None:
    """Name, route, entry and networks are those of the shipped serve_config.yaml."""
    here = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    there = yaml.safe_load(SERVICES[kind]["spec"]["serveConfigV2"])
    assert there["proxy_location"] == here["proxy_location"]
    (one_box,), (cluster,) = here["applications"], there["applications"]
    for name in ("name", "route_prefix", "import_path"):
        assert cluster[name] == one_box[name]
    for name in ("detectors", "embedding_network", "threads"):
        assert cluster["args"][name] == one_box["args"][name]


def test_gpus_stand_in_numbers() -> None:
    """No replica's share of a GPU is left to be found out, and all sessions fit into a GPU's memory."""
    config = yaml.safe_load(SERVICES["gpu"]["spec"]["serveConfigV2"])
    args = AppArgs.model_validate(config["applications"][0]["args"])
    shares = [args.detector.num_gpus, args.attributes.num_gpus]
    assert all(shares)
    assert args.stage.num_gpus == args.tasks.num_gpus == 0
    (container,) = groups(SERVICES["gpu"])["gpu"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    per_gpu = 1 / max(share for share in shares if share)
    assert args.gpu_mem_limit_mb is not None
    networks_of_crops = len(args.attribute_networks) + 1
    assert per_gpu >= 1
    assert args.gpu_mem_limit_mb * (1 + networks_of_crops) < 80_000


@pytest.mark.parametrize("kind", SERVICES)
def test_what_kuberay_reads_is_of_its_form(kind: str) -> None:
    """Only fields of `ray.io/v1` are used, and those that keep the service alive are."""
    service = SERVICES[kind]
    assert service["apiVersion"] == "ray.io/v1"
    spec = service["spec"]
    known = {"serveConfigV2", "rayClusterConfig", "upgradeStrategy", "excludeHeadPodFromServeSvc"}
    known |= {"serviceUnhealthySecondThreshold", "deploymentUnhealthySecondThreshold"}
    assert set(spec) == known | {"rayClusterDeletionDelaySeconds"}
    assert spec["upgradeStrategy"] == {"type": "NewCluster"}
    assert spec["excludeHeadPodFromServeSvc"] is True
    cluster = spec["rayClusterConfig"]
    assert set(cluster) == {
        *("rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions"),
        *("gcsFaultToleranceOptions", "headGroupSpec", "workerGroupSpecs"),
    }
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"
    redis = cluster["gcsFaultToleranceOptions"]
    assert redis["redisAddress"].startswith("redis://")
    assert redis["redisPassword"]["valueFrom"]["secretKeyRef"]["name"] == "facefleet-secrets"
    assert set(cluster["headGroupSpec"]) == {"rayStartParams", "template"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in cluster["workerGroupSpecs"]:
        assert set(group) == {
            *("groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"),
        }
        assert 1 <= group["minReplicas"] <= group["replicas"] < group["maxReplicas"]
    for group in groups(service).values():
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert group["rayStartParams"]["metrics-export-port"] == "8080"


@pytest.mark.parametrize("kind", SERVICES)
def test_the_least_that_runs_fits_on_the_least_machines(kind: str) -> None:
    """Replicas that are always there have cores on the nodes that always are."""
    args = AppArgs.model_validate(
        yaml.safe_load(SERVICES[kind]["spec"]["serveConfigV2"])["applications"][0]["args"]
    )
    parts = [args.ingress, args.tasks]
    parts += [args.stage, args.detector, args.attributes] if kind == "gpu" else []
    wanted = sum(part.min_replicas * part.num_cpus for part in parts)
    there = 0.0
    for name, group in groups(SERVICES[kind]).items():
        if name != "head":
            (container,) = group["template"]["spec"]["containers"]
            there += group["minReplicas"] * float(container["resources"]["limits"]["cpu"])
    assert wanted <= there
    assert (args.chunks.at_once or 0) <= args.tasks.num_cpus


def test_versions_are_the_pinned_ones() -> None:
    """Ray's version is the one that the tests ran with, images bear the project's."""
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    (version,) = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    for service in SERVICES.values():
        assert service["spec"]["rayClusterConfig"]["rayVersion"] == pins["ray"]
    images = re.findall(r"(?:image: facefleet:|newTag: )(\S+)", _all_text())
    assert len(images) >= 5
    assert set(images) == {f"{version}-cpu", f"{version}-gpu"}
    assert only("Job")["metadata"]["name"].endswith(version.replace(".", "-"))
    dockerfile = (ROOT / "cluster" / "images" / "Dockerfile").read_text()
    assert dockerfile.count("--constraint constraints.txt") == 2
    assert f"facefleet:{version}-cpu" in dockerfile
    assert "USER 1000:1000" in dockerfile


def _all_text() -> str:
    return "\n".join(file.read_text() for folder in (BASE, GPU) for file in folder.glob("*.yaml"))


def test_the_environment_is_that_of_one_box() -> None:
    """What one box is run with for speed and calm, a cluster is run with as well."""
    given = only_config("facefleet-ray")
    own = everywhere(Settings())
    assert {name: given.get(name) for name in own} == own
    assert given[edge.LISTEN_ENV] == "127.0.0.1"
    assert given["RAY_SERVE_HAPROXY_BINARY_PATH"] in (ROOT / "cluster/images/Dockerfile").read_text()


def only_config(name: str) -> dict[str, str]:
    """Return the values of a ConfigMap."""
    (found,) = [
        each for each in manifests(BASE) if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name
    ]
    return dict(found["data"])


def test_settings_exist() -> None:
    """Every variable is one that the service reads, and no secret stands outside of the secret."""
    (secret,) = yaml.safe_load_all((KUBERNETES / "secrets.example.yaml").read_text())
    settings = only_config("facefleet-settings")
    assert unknown_variables([*settings, *(name for name in secret["stringData"] if name.isupper())]) == []
    assert not {"FACE_API_DATABASE_URL", "FACE_API_REDIS_URL"} & set(settings)
    Settings(**{name.removeprefix("FACE_API_").lower(): value for name, value in settings.items()})  # type: ignore[arg-type]  # as the environment has them
    asked = {
        each["secretRef"]["name"]
        for param in PODS
        for container in param.values[0]["spec"]["containers"]  # type: ignore[index]  # a template
        for each in container["envFrom"]
        if "secretRef" in each
    }
    assert asked == {secret["metadata"]["name"]}


def test_replicas_ports_are_closed() -> None:
    """Nobody is let in anywhere but at the ports named here; the pods themselves speak freely."""
    others = dict(POLICIES)
    everybody = others.pop("facefleet-nobody")
    assert everybody["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    among = others["facefleet-each-other"]["spec"]
    assert among["ingress"] == [{"from": [{"podSelector": among["podSelector"]}]}]
    open_to = {
        name: [port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", [])]
        for name, policy in others.items()
    }
    assert open_to == {
        "facefleet-each-other": [],
        "facefleet-callers": [8000],
        "facefleet-figures": [8080],
        "facefleet-operator": [8265, 8000],
    }
    for name, policy in others.items():
        if name != "facefleet-each-other":
            for rule in policy["spec"]["ingress"]:
                assert [list(each) for each in rule["from"]] == [["namespaceSelector"]]


def test_selectors_find_pods() -> None:
    """Policies, the disruption budget and the monitor select by labels that the pods bear."""
    labels = [
        group["template"]["metadata"]["labels"]
        for service in SERVICES.values()
        for group in groups(service).values()
    ]
    selectors = [policy["spec"]["podSelector"].get("matchLabels", {}) for policy in POLICIES.values()]
    selectors.append(only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
    selectors.append(only("PodMonitor", MONITORING)["spec"]["selector"]["matchLabels"])
    for selector in selectors:
        assert any(selector.items() <= each.items() for each in labels), selector


def test_alerts_are_the_same_for_the_prometheus_operator() -> None:
    """The rules in the manifest are those of the file."""
    rules = yaml.safe_load((ROOT / "cluster" / "monitoring" / "alerts.yaml").read_text())
    assert only("PrometheusRule", MONITORING)["spec"] == rules


@pytest.mark.parametrize("folder", [BASE, GPU, MONITORING], ids=lambda folder: folder.name)
def test_kustomizations_name_every_file(folder: Path) -> None:
    """Each file of a folder is used, and each that is used is there."""
    kustomization = only("Kustomization", folder)
    named = {*kustomization["resources"], *(each["path"] for each in kustomization.get("patches", []))}
    files = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml", "serve_config.yaml"}
    assert named - {"../base"} == files


def config(decode: str, detector: str, attributes: str = "inline") -> dict[str, Any]:
    """Return a Serve configuration of this placement."""
    placement = {"decode": decode, "detector": detector, "attributes": attributes}
    return {"applications": [{"name": "facefleet", "args": {"placement": placement}}]}


def test_a_shape_that_loses_deployments_takes_two_steps() -> None:
    """What goes stays for one step, named; a shape that only gains takes one."""
    step = first_step(config("stage", "pool"), config("ingress", "inline"))
    assert step is not None
    (application,) = step["applications"]
    assert application["args"]["leaving"] == ["detector-yunet", "stage"]
    assert first_step(config("ingress", "inline"), config("stage", "pool")) is None
    with pytest.raises(ValueError, match="auto"):
        first_step(config("auto", "pool"), config("ingress", "inline"))
