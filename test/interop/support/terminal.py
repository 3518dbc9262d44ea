"""Runs a program on a terminal of its own and types at it.

terminal.py <text> <keys> <program> <arguments...>

When the program has written the text, the keys are typed: "^C", or "hang-up" to take the terminal away. Ends with the
program's exit code, or 128 and the signal that killed it. What the program wrote goes to standard output.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

text, keys, *command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    # What shows spinners asks for these.
    os.environ["TERM"] = "xterm"
    os.environ.pop("CI", None)
    os.execvp(command[0], command)

written = b""
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # On Linux the end of what a program wrote is an error.
        break
    if not piece:
        break
    os.write(1, piece)
    waiting = text.encode() not in written
    written += piece
    if waiting and text.encode() in written:
        if keys == "hang-up":
            os.close(terminal)
            break
        os.write(terminal, b"\x03")

_, status = os.waitpid(child, 0)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
