"""Asks a name server again and again: names.py SERVER NAME. Prints a line for each answer; every failure is a line of its own.

As a client's library asks: a query waits five seconds and is then repeated once. The socket is connected, so that a port where
nobody listens is an error and not a silence.
"""
import socket
import struct
import sys
import time

server, name = sys.argv[1:]
question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" + struct.pack("!HH", 1, 1)


def ask(number):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect((server, 53))
    for attempt in range(2):
        client.send(struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + question)
        try:
            answer = client.recv(4096)
        except TimeoutError:
            continue
        if answer[:2] != struct.pack("!H", number):
            return "another's answer"
        code, answers = answer[3] & 15, struct.unpack("!H", answer[6:8])[0]
        return f"answered at attempt {attempt + 1}" if code == 0 and answers == 1 else f"failed with code {code}"
    return "never answered"


number = 0
while True:
    number = (number + 1) % 65536
    try:
        print(ask(number), flush=True)
    except OSError as error:
        print(error, flush=True)
    time.sleep(0.005)
