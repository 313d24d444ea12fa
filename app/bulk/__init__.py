"""Bulk jobs: a list of media in, tables of faces out, through a service that is spoken to over HTTP.

    manifest -> rows (checked before anything is sent) -> tasks, a bounded number at once -> results on disk
             -> parts of the tables, each written whole, in the manifest's order

What was done stands in an append-only journal, so that a job that is killed goes on where it was, and nothing
is done twice: tasks bear idempotency keys made of the job and the row. The tables hold nothing that depends
on how often a job was broken off: an undisturbed run of it writes the same files.
"""
