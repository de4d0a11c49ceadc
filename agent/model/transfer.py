"""What all operations that move data say of it: where it comes from or goes to, and how much it was."""

FILE_OUT = (
    "The name of a new file in the agent's spool directory for the data. If none is named in CIM, the answer has an address to"
    " get the data from."
)
FILE_IN = (
    "The name of the file in the agent's spool directory that has the data. If none is named in CIM, the answer has an"
    " address to put the data to."
)
ADDRESS = "Where to move the data by HTTP, if no file was named. It is good for one use, and for five minutes."
TRANSFERRED = "How much data was moved, in bytes."
OFFSET = "Where in the data to begin, in bytes."
LENGTH = "How much of the data to move, in bytes; 0 is all that follows."
