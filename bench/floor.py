"""What a pull takes where the engine takes no time: the docker CLI against a socket that answers at once, and the registry's two answers."""
import os
import pathlib
import socketserver
import statistics
import subprocess
import tempfile
import threading
import time


class Answers(socketserver.StreamRequestHandler):
    """The two answers a `docker pull` needs: to its ping, and a line of progress (Engine API, /images/create)."""

    def handle(self):
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline().strip()):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            self.rfile.read(length)
            if b"/_ping" in line:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\nOstype: linux\r\nContent-Length: 0\r\n\r\n")
            else:
                body = b'{"status":"Status: Downloaded newer image"}\n'
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def command(docker, samples):
    """Milliseconds of `docker pull -q` whose engine answers at once."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        path = str(pathlib.Path(folder) / "instant.sock")
        with Server(path, Answers) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            environment = {**os.environ, "DOCKER_HOST": f"unix://{path}", "DOCKER_CONFIG": folder, "DOCKER_CLI_HINTS": "false"}
            times = []
            for _ in range(samples):
                begin = time.perf_counter()
                subprocess.run([docker, "pull", "-q", "localhost:1/a:b"], env=environment, check=True, stdout=subprocess.DEVNULL)
                times.append((time.perf_counter() - begin) * 1000)
            server.shutdown()
    return statistics.median(times)


def answers(namespace, addresses, samples):
    """Milliseconds that a registry takes for GETs one after the other over one connection."""
    totals = []
    for _ in range(samples):
        output = subprocess.run(
            ["nsenter", f"--net=/run/netns/{namespace}", "curl", "-sf", "-H", "Accept: application/vnd.docker.distribution.manifest.v2+json",
             *(word for address in addresses for word in ("-o", "/dev/null", address)), "-w", "%{time_starttransfer} %{time_connect}\n"],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        totals.append(sum(float(first) - float(connected) for first, connected in map(str.split, output.splitlines())) * 1000)
    return statistics.median(totals)
