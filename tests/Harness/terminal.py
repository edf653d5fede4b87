"""Runs a program under a pseudo-terminal for a test.

Standard input carries frames: a letter, a decimal length, a newline, then that many bytes. `d` is data typed at the terminal,
`r` is a new window size "ROWS COLUMNS". Standard output is what the terminal shows. The exit code is the program's.
"""
import fcntl
import os
import pty
import select
import struct
import sys
import termios


def resize(master, rows, columns):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main():
    child, master = pty.fork()
    if child == 0:
        # The parent sets the size before it lets us go on: a program reads it once at start.
        sys.stdin.readline()
        os.execvp(sys.argv[1], sys.argv[1:])
    resize(master, 24, 80)
    os.write(master, b"\n")
    commands = os.fdopen(0, "rb", buffering=0)
    pending = b""
    sources = [0, master]
    first = True
    while True:
        ready, _, _ = select.select(sources, [], [])
        if master in ready:
            try:
                shown = os.read(master, 65536)
            except OSError:  # EIO: the last process at the terminal is gone
                break
            if first:  # the echo of the newline above
                shown, first = shown.replace(b"\r\n", b"", 1), False
            os.write(1, shown)
        if 0 in ready:
            got = commands.read(65536)
            if not got:
                sources = [master]
                continue
            pending += got
            while b"\n" in pending:
                head, rest = pending.split(b"\n", 1)
                length = int(head[1:])
                if len(rest) < length:
                    break
                body, pending = rest[:length], rest[length:]
                if head[:1] == b"r":
                    resize(master, *map(int, body.split()))
                else:
                    os.write(master, body)
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


main()
