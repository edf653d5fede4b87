"""What the docker CLI takes by itself: a peer that answers at once, with what an engine answered to the same request before."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
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


class Answers:
    """By request line; each waits for the first of its kind, which asks the engine."""

    def __init__(self, upstream, folder):
        self.upstream, self.folder, self.files, self.lock = upstream, folder, {}, threading.Lock()

    def serve(self, client):
        pending = b""
        while True:
            head, pending = read_head(client, pending)
            if head is None:
                return
            line = head.split(b"\r\n", 1)[0]
            with self.lock:
                if line not in self.files:
                    self.files[line] = self.ask(client, head, pending)
                    pending = None
            if pending is not None:
                for _ in body(client, head, pending):
                    pass
            pending = b""
            client.sendfile(self.files[line])

    def ask(self, client, head, rest):
        """Passes the request on and keeps the answer as it is on the wire. The connection to the engine ends with it, the client's does not."""
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.upstream)
            engine.sendall(re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head) + b"\r\nConnection: close\r\n\r\n")
            for piece in body(client, head, rest):
                engine.sendall(piece)
            kept = open(os.path.join(self.folder, f"answer{len(self.files)}"), "w+b", buffering=0)
            first, after = read_head(engine, b"")
            kept.write(re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", first) + b"\r\n\r\n" + after)
            while data := engine.recv(CHUNK):
                kept.write(data)
        return kept


def main(upstream, folder):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(folder, "replay.sock"))
    listener.listen(512)
    answers = Answers(upstream, folder)

    def talk(client):
        with client:
            try:
                answers.serve(client)
            except (BrokenPipeError, ConnectionResetError):
                pass  # The CLI had read enough.

    while True:
        client, _ = listener.accept()
        threading.Thread(target=talk, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
