"""What moves data from or to a domain: screenshots, consoles, channels, displays, memory."""

from agent.model.disk import Disk
from agent.model.domain import ACTIVE, Domain
from agent.model.transfer import ADDRESS, FILE_OUT, OFFSET, TRANSFERRED
from agent.schema.declare import Access, Data, Event, Operation, Row, argument, out
from agent.schema.types import Binary, Bytes, Count, Enumeration, Flags, Name, Seconds, Text

INPUT = "The name of a file in the agent's spool directory whose content is sent as input; none sends nothing."
FOR_SECONDS = "How long the session lasts, in seconds; it also ends with the other end, or when its job is canceled."


class ConsoleFlags(Flags):
    """How a console is opened."""

    FORCE = 1, "force", "Take it from whoever has it open.", "VIR_DOMAIN_CONSOLE_FORCE"
    SAFE = (
        2,
        "safe",
        "Only if the hypervisor can keep two sessions from getting in each other's way.",
        "VIR_DOMAIN_CONSOLE_SAFE",
    )


class ChannelFlags(Flags):
    """How a channel is opened."""

    FORCE = 1, "force", "Take it from whoever has it open.", "VIR_DOMAIN_CHANNEL_FORCE"


class MemoryAddress(Enumeration):
    """What an address of memory is."""

    VIRTUAL = 1, "virtual", "An address as the first vCPU sees it.", "VIR_MEMORY_VIRTUAL"
    PHYSICAL = 2, "physical", "An address of the guest's own physical memory.", "VIR_MEMORY_PHYSICAL"


class GraphicsFlags(Flags):
    """How a display is opened."""

    SKIP_AUTH = 1, "skipAuth", "Without the display's own authentication.", "VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH"


class Screenshot(
    Operation, on=Domain, number=140, needs=Access.OPERATE, moves=Data.DOWN, job=True, cancel="virStreamAbort", allowed=ACTIVE,
    api=("virDomainScreenshot", "virStreamRecvAll", "virStreamRecv", "virStreamFinish"),
):  # fmt: skip
    """Take a picture of the display of the domain."""

    screen: Count = argument(1, "Which screen, counted from 0.", default=0)
    file: Name = argument(2, FILE_OUT, default="")
    mime_type: Name | None = out(3, "The kind of picture, such as image/png.")
    address: Text | None = out(4, ADDRESS)
    transferred: Bytes | None = out(5, TRANSFERRED)


class OpenConsole(
    Operation, on=Domain, number=141, needs=Access.ADMINISTER, moves=Data.BOTH, job=True, cancel="virStreamAbort", allowed=ACTIVE,
    api=("virDomainOpenConsole", "virStreamRecv", "virStreamSend", "virStreamSendAll", "virStreamFinish", "virStreamAbort"),
):  # fmt: skip
    """Use a serial port or console of the domain: what it prints is read, and what is sent is typed."""

    device: Name = argument(1, "Alias of the console or serial port; none is the first one.", default="")
    seconds: Seconds = argument(2, FOR_SECONDS, default=3600, low=1, high=86400)
    flags: ConsoleFlags = argument(3, "How it is opened.", default=ConsoleFlags(0))
    file: Name = argument(4, FILE_OUT, default="")
    input: Name = argument(5, INPUT, default="")
    address: Text | None = out(6, ADDRESS + " Input is put to it while the output is being got.")
    transferred: Bytes | None = out(7, TRANSFERRED)


class OpenChannel(
    Operation, on=Domain, number=142, needs=Access.ADMINISTER, moves=Data.BOTH, job=True, cancel="virStreamAbort", allowed=ACTIVE,
    api=("virDomainOpenChannel", "virStreamRecv", "virStreamSend", "virStreamSendAll", "virStreamFinish", "virStreamAbort"),
):  # fmt: skip
    """Use a channel of the domain: talk to the program inside the guest that is at its other end."""

    device: Name = argument(1, "Alias or target name of the channel; none is the first one.", default="")
    seconds: Seconds = argument(2, FOR_SECONDS, default=3600, low=1, high=86400)
    flags: ChannelFlags = argument(3, "How it is opened.", default=ChannelFlags(0))
    file: Name = argument(4, FILE_OUT, default="")
    input: Name = argument(5, INPUT, default="")
    address: Text | None = out(6, ADDRESS + " Input is put to it while the output is being got.")
    transferred: Bytes | None = out(7, TRANSFERRED)


class OpenGraphics(
    Operation, on=Domain, number=143, needs=Access.ADMINISTER, moves=Data.BOTH, job=True, allowed=ACTIVE,
    api=("virDomainOpenGraphicsFD", "virDomainOpenGraphics"),
):  # fmt: skip
    """Use a display of the domain by its own protocol, VNC or SPICE, without a network port. Only on the agent's own host."""

    display: Count = argument(1, "Which display, counted from 0 in the order of the definition.", default=0)
    seconds: Seconds = argument(2, FOR_SECONDS, default=3600, low=1, high=86400)
    flags: GraphicsFlags = argument(3, "How it is opened.", default=GraphicsFlags(0))
    file: Name = argument(4, FILE_OUT, default="")
    input: Name = argument(5, INPUT, default="")
    address: Text | None = out(6, ADDRESS + " Input is put to it while the output is being got.")
    transferred: Bytes | None = out(7, TRANSFERRED)


class PeekMemory(Operation, on=Domain, number=144, needs=Access.ADMINISTER, allowed=ACTIVE, api="virDomainMemoryPeek"):
    """Read a piece of the guest's memory."""

    start: Bytes = argument(1, "The address at which to begin.")
    size: Count = argument(2, "How many bytes.", low=1, high=65536)
    kind: MemoryAddress = argument(3, "What the address is.", default=MemoryAddress.VIRTUAL)
    data: Binary | None = out(4, "The bytes.")


class PeekDisk(Operation, on=Disk, number=60, needs=Access.ADMINISTER, api="virDomainBlockPeek"):
    """Read a piece of the disk's image, as the host sees it: of an image in a format of its own that is not the guest's view."""

    offset: Bytes = argument(1, OFFSET)
    size: Count = argument(2, "How many bytes.", low=1, high=65536)
    data: Binary | None = out(3, "The bytes.")


ROWS: tuple[type[Row], ...] = ()
OPERATIONS: tuple[type[Operation], ...] = (
    Screenshot, OpenConsole, OpenChannel, OpenGraphics, PeekMemory, PeekDisk,
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = ()
