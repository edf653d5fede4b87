"""What the docker CLI takes by itself: a peer that answers at once, with what an engine answered to the same request before."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from engines import Engine

CHUNK = 1 << 20


class Replay(Engine):
    """Stands between the CLI and an engine; the first time it passes a request on and keeps the answer, later it sends the answer from memory."""

    def __init__(self, engine):
        super().__init__("replay", engine.docker)
        self.engine = engine
        self.folder = tempfile.mkdtemp(prefix="slipway-replay-", dir="/dev/shm")
        self.socket = f"unix://{self.folder}/replay.sock"
        self.process = subprocess.Popen([sys.executable, __file__, engine.socket.removeprefix("unix://"), self.folder])
        while not pathlib.Path(self.folder, "replay.sock").exists():
            time.sleep(0.01)

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


def read_head(client, pending):
    while b"\r\n\r\n" not in pending:
        data = client.recv(65536)
        if not data:
            return None, b""
        pending += data
    head, _, rest = pending.partition(b"\r\n\r\n")
    return head, rest


def body(client, head, rest):
    """The pieces of a request's body, as they are on the wire; for a chunked one up to the last chunk, which only its end tells."""
    if match := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
        left = int(match.group(1)) - len(rest)
        yield rest
        while left > 0:
            data = client.recv(min(CHUNK, left))
            left -= len(data)
            yield data
    elif re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        tail = rest
        yield rest
        buffer = bytearray(CHUNK)
        while not tail.endswith(b"0\r\n\r\n"):
            count = client.recv_into(buffer)
            tail = tail[-4:] + bytes(buffer[max(0, count - 8):count])
            yield memoryview(buffer)[:count]


def serve(client, upstream, folder, answers):
    pending = b""
    while True:
        head, pending = read_head(client, pending)
        if head is None:
            return
        line = head.split(b"\r\n", 1)[0]
        if line in answers:
            for _ in body(client, head, pending):
                pass
        else:
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(upstream)
            engine.sendall(re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head) + b"\r\nConnection: close\r\n\r\n")
            for piece in body(client, head, pending):
                engine.sendall(piece)
            file = os.path.join(folder, f"{os.getpid()}-{len(answers)}")
            with open(file, "wb") as kept:
                while data := engine.recv(CHUNK):
                    kept.write(data)
            answers[line] = file
            with open(os.path.join(folder, "index"), "a") as index:
                index.write(f"{line.decode()}\t{file}\n")
        with open(answers[line], "rb") as kept:
            client.sendfile(kept)
        return  # The answers say so: Connection: close.


def main(upstream, folder):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(folder, "replay.sock"))
    listener.listen(512)
    while True:
        client, _ = listener.accept()
        if os.fork() == 0:
            index = pathlib.Path(folder, "index")
            answers = dict(line.encode().split(b"\t") for line in index.read_text().splitlines()) if index.exists() else {}
            try:
                serve(client, upstream, folder, answers)
            except (BrokenPipeError, ConnectionResetError):
                pass  # The CLI had read enough.
            os._exit(0)
        client.close()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
