"""Moving the content of volumes to and from the host."""

from agent.model.transfer import ADDRESS, FILE_IN, FILE_OUT, LENGTH, OFFSET, TRANSFERRED
from agent.model.volume import Volume
from agent.schema.declare import Access, Data, Event, Operation, Row, argument, out
from agent.schema.types import Bytes, Flag, Name, Text

SPARSE = "Whether stretches of zeros are left out on the way between hypervisor and agent. What is moved is the same."


class DownloadVolume(
    Operation, on=Volume, number=20, needs=Access.DEFINE, moves=Data.DOWN, job=True, cancel="virStreamAbort",
    api=(
        "virStorageVolDownload", "virStreamRecv", "virStreamRecvAll", "virStreamRecvFlags", "virStreamRecvHole",
        "virStreamSparseRecvAll", "virStreamFinish", "virStorageVolGetInfoFlags",
    ),
):  # fmt: skip
    """Get the content of the volume, as it is in the pool: of an image in a format of its own that is the file."""

    offset: Bytes = argument(1, OFFSET, default=0)
    length: Bytes = argument(2, LENGTH, default=0)
    sparse: Flag = argument(3, SPARSE, default=False)
    file: Name = argument(4, FILE_OUT, default="")
    address: Text | None = out(5, ADDRESS)
    transferred: Bytes | None = out(6, TRANSFERRED)


class UploadVolume(
    Operation, on=Volume, number=21, needs=Access.DEFINE, moves=Data.UP, job=True, cancel="virStreamAbort",
    destroys="What the volume held where it is overwritten.",
    api=(
        "virStorageVolUpload", "virStreamSend", "virStreamSendAll", "virStreamSendHole", "virStreamSparseSendAll",
        "virStreamFinish", "virStreamAbort",
    ),
):  # fmt: skip
    """Overwrite the content of the volume with other data."""

    offset: Bytes = argument(1, OFFSET, default=0)
    length: Bytes = argument(2, LENGTH, default=0)
    sparse: Flag = argument(3, SPARSE, default=False)
    file: Name = argument(4, FILE_IN, default="")
    address: Text | None = out(5, ADDRESS)
    transferred: Bytes | None = out(6, TRANSFERRED)


ROWS: tuple[type[Row], ...] = ()
OPERATIONS: tuple[type[Operation], ...] = (DownloadVolume, UploadVolume)
EVENTS: tuple[type[Event], ...] = ()
