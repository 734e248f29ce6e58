"""Journals keep the records of an experiment, and stores the journals."""

from trialjob.orchestrator.journals.store import BaseStore
from trialjob.registry import Registry

#: Stores by the schemes of their addresses, as in ``--store s3://bucket/prefix``.
STORES: Registry[BaseStore] = Registry(
    "store",
    BaseStore,  # type: ignore[type-abstract]  # as every kind of base is
    group="trialjob.stores",
    needs=[("open",), ("names",), ("journal",), ("where",), ("bundle",), ("keep_bundle",)],
    sections=False,
    builtin={
        "file": "trialjob.orchestrator.journals.folder:FolderStore",
        "http": "trialjob.served.store:ServedStore",
        "https": "trialjob.served.store:ServedStore",
        "s3": "trialjob.orchestrator.journals.s3_store:S3Store",
    },
)
