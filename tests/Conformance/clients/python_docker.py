"""Docker's Python SDK against the engine at DOCKER_HOST: run, logs, exec, events, refusals. Prints ok at the end."""
import threading

import docker
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound

client = docker.from_env(timeout=60)
assert client.ping()
assert client.version()["ApiVersion"].startswith("1.")

assert client.containers.run("alpine", ["echo", "hello"], remove=True) == b"hello\n"
assert client.containers.run("alpine", "sh -c 'echo err >&2; echo out'", remove=True, stdout=True, stderr=False) == b"out\n"
try:
    client.containers.run("alpine", ["sh", "-c", "echo why >&2; exit 3"], remove=True)
    raise AssertionError("no ContainerError")
except ContainerError as error:
    assert error.exit_status == 3 and b"why" in error.stderr

events = client.events(decode=True, filters={"type": "container", "label": "sdk=python"})
seen = []
listener = threading.Thread(target=lambda: seen.extend(event["Action"] for event in events), daemon=True)
listener.start()

container = client.containers.run("alpine", ["sh", "-c", "for i in 1 2 3; do echo line$i; done; sleep 1000"], detach=True, labels={"sdk": "python"},
                                  environment={"A": "1"}, mem_limit="64m", ports={"80/tcp": ("127.0.0.1", None)}, name="sdk-python")
try:
    stream = container.logs(stream=True, follow=True)
    assert b"".join(next(stream) for _ in range(3)).replace(b"\n", b"") == b"line1line2line3"
    assert container.logs(tail=1) == b"line3\n"
    assert container.exec_run(["sh", "-c", "echo $A; exit 4"]) == (4, b"1\n")
    code, (out, err) = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert (code, out, err) == (0, b"out\n", b"err\n")

    socket = container.exec_run("cat", stdin=True, socket=True).output
    socket._sock.sendall(b"through the socket\n")
    received = b""
    while b"through the socket\n" not in received:
        chunk = socket._sock.recv(4096)
        assert chunk, received
        received += chunk
    assert received[:8] == b"\x01\0\0\0\0\0\0\x13", received
    socket.close()

    container.reload()
    assert container.status == "running"
    assert container.attrs["HostConfig"]["Memory"] == 64 << 20
    assert container.ports["80/tcp"][0]["HostIp"] == "127.0.0.1"
    assert [one.name for one in client.containers.list(filters={"label": "sdk=python"})] == ["sdk-python"]
    assert any("sleep 1000" in process[-1] for process in container.top()["Processes"])
    container.pause()
    container.unpause()
    container.stop(timeout=0)
    assert container.wait()["StatusCode"] == 137
    container.start()
    container.kill()
finally:
    container.remove(force=True)
listener.join(2)
events.close()
for action in ("create", "start", "pause", "unpause", "stop", "kill", "die", "destroy"):
    assert action in seen, (action, seen)

for missing, error in ((lambda: client.containers.get("nosuch"), NotFound), (lambda: client.images.get("nosuch:1"), ImageNotFound)):
    try:
        missing()
        raise AssertionError("found what is not there")
    except error as raised:
        assert raised.status_code == 404
try:
    client.containers.create("alpine", "true", mem_limit=1)
    raise AssertionError("1 byte of memory was accepted")
except APIError as raised:
    assert raised.status_code == 400
network = client.networks.create("sdk-python-net", driver="bridge", labels={"sdk": "python"})
try:
    assert [one.name for one in client.networks.list(filters={"label": "sdk=python"})] == ["sdk-python-net"]
    server = client.containers.run("alpine", "sleep 1000", detach=True, name="sdk-python-server", network="sdk-python-net")
    try:
        assert b"sdk-python-server" in client.containers.run("alpine", "nslookup sdk-python-server.", network="sdk-python-net", remove=True)
        client.networks.get("bridge").connect(server)
        server.reload()
        assert sorted(server.attrs["NetworkSettings"]["Networks"]) == ["bridge", "sdk-python-net"]
        network.reload()
        assert [one.name for one in network.containers] == ["sdk-python-server"]
        network.disconnect(server)
    finally:
        server.remove(force=True)
finally:
    network.remove()
assert "alpine:latest" in [tag for image in client.images.list() for tag in image.tags]
print("ok")
