#!/usr/bin/env python3
"""What the network benches send and receive, run inside a network namespace: `bench/networks` starts it there.

    traffic.py serve PORT                        answers a request on a connection with one line, a connection with `stream` with zeros until it is closed
    traffic.py requests ADDRESS PORT SECONDS     connections per second, each with a request and its answer
    traffic.py stream ADDRESS PORT SECONDS       megabytes per second received on one connection
    traffic.py names NAME SECONDS                answers per second of the name server at 127.0.0.11, 32 questions under way
    traffic.py resolve NAME...                   the IPv4 address of each name there, in order; `-` for one that is not known
"""
import socket
import struct
import sys
import threading
import time


def serve(port):
    listener = socket.create_server(("0.0.0.0", int(port)), backlog=1024)
    zeros = bytes(1 << 20)

    def stream(connection):
        try:
            while True:
                connection.sendall(zeros)
        except OSError:
            connection.close()

    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        try:
            if connection.recv(16).startswith(b"stream"):
                threading.Thread(target=stream, args=(connection,), daemon=True).start()
                continue
            connection.sendall(b"answer\n")
        except OSError:
            pass  # The client gave up.
        connection.close()


def requests(address, port, seconds):
    """Connections that are reset at the end, so that ports do not run out."""
    linger, count = struct.pack("ii", 1, 0), 0
    begin = time.perf_counter()
    end = begin + float(seconds)
    while time.perf_counter() < end:
        with socket.create_connection((address, int(port)), 5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(b"request")
            if connection.recv(16) != b"answer\n":
                sys.exit("traffic: a wrong answer")
        count += 1
    print(count / (time.perf_counter() - begin))


def stream(address, port, seconds):
    with socket.create_connection((address, int(port)), 5) as connection:
        connection.sendall(b"stream")
        buffer, received = bytearray(1 << 20), 0
        begin = time.perf_counter()
        end = begin + float(seconds)
        while time.perf_counter() < end:
            received += connection.recv_into(buffer)
        print(received / (time.perf_counter() - begin) / 1e6)


def question(name, number=1):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def connected():
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("127.0.0.11", 53))
    client.settimeout(2)
    return client


def names(name, seconds):
    client, message, under_way, answered, lost = connected(), question(name), 0, 0, 0
    begin = time.perf_counter()
    end = begin + float(seconds)
    while time.perf_counter() < end:
        while under_way < 32:
            client.send(message)
            under_way += 1
        try:
            if client.recv(2048)[7] == 0:
                sys.exit(f"traffic: {name} is not known")
            answered += 1
            under_way -= 1
        except TimeoutError:
            lost, under_way = lost + under_way, 0
    print(answered / (time.perf_counter() - begin), lost)


def resolve(*wanted):
    client, found = connected(), []
    for number, name in enumerate(wanted):
        client.send(question(name, number))
        answer = client.recv(2048)
        found.append(socket.inet_ntoa(answer[-4:]) if answer[7] else "-")
    print(*found)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("serve", "requests", "stream", "names", "resolve"):
        sys.exit(__doc__)
    sys.setswitchinterval(0.0005)
    globals()[sys.argv[1]](*sys.argv[2:])
