"""The engines that are measured: how each is started, spoken to and stopped, and what its processes take."""
import mmap
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STATE = pathlib.Path("/var/lib/slipway-bench")
RUN = pathlib.Path("/run/slipway-bench")
NAMESPACE = "slipway-bench"
TICKS = os.sysconf("SC_CLK_TCK")


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout.strip()


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def touch_memory(gigabytes):
    """Uses memory once. A virtual machine gets its memory from its host at the first touch, which takes a second or more for each gigabyte: no engine's time."""
    available = int(re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) << 10
    size = min(gigabytes << 30, available * 6 // 10) // mmap.PAGESIZE * mmap.PAGESIZE
    block = b"\1" * (1 << 20)
    with mmap.mmap(-1, size) as memory:
        for offset in range(0, size - len(block), len(block)):
            memory[offset : offset + len(block)] = block


class Engine:
    """An engine under test: how to start it, how to talk to it, which processes it consists of."""

    def __init__(self, name, docker):
        self.name, self.docker, self.socket = name, docker, None

    def environment(self):
        return {**os.environ, "DOCKER_HOST": self.socket, "DOCKER_CONFIG": "/nonexistent", "DOCKER_CLI_HINTS": "false"}

    def cli(self, *arguments):
        return run(self.docker, *arguments, env=self.environment(), stdin=subprocess.DEVNULL)

    def spawn(self, *arguments):
        return subprocess.Popen([self.docker, *arguments], env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def time(self, *arguments):
        """Milliseconds a docker command takes."""
        begin = time.perf_counter()
        self.cli(*arguments)
        return (time.perf_counter() - begin) * 1000

    def remove_all(self):
        if ids := self.cli("ps", "-aq").split():
            self.cli("rm", "-f", *ids)

    def members(self):
        """Pids of all that is resident for the engine."""
        return self.pids()

    def pss(self):
        """Resident memory of all its processes in MB, shared pages counted by share (proc(5), smaps_rollup)."""
        total = 0
        for pid in self.members():
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M).group(1))
        return total / 1024


class Peer(Engine):
    def start(self):
        self.socket = run(str(ROOT / "bench/peer"), "start", env=self.settings())

    def stop(self):
        run(str(ROOT / "bench/peer"), "stop", env=self.settings())

    @staticmethod
    def settings():
        return {"SLIPWAY_PEER_DIR": "/var/lib/slipway-peer", **os.environ}

    def pids(self):
        """dockerd, its containerd, and the shims, which have reparented themselves but keep the socket path on their command line."""
        run_folder = pathlib.Path(self.socket.removeprefix("unix://")).parent
        return processes(lambda line: "containerd-shim" in line[0] and any(str(run_folder) in part for part in line)
                         or pathlib.Path(line[0]).name in ("dockerd", "containerd", "docker-proxy") and any(str(run_folder) in part for part in line))


class Podman:
    """podman, which has no engine: its commands are timed, in the network namespace of the peer and a mount namespace of their own."""

    def __init__(self):
        settings = Peer.settings()
        self.folder = pathlib.Path(settings["SLIPWAY_PEER_DIR"])
        self.command = ["nsenter", f"--net=/run/netns/{self.folder.name}", "unshare", "--mount", *run(str(ROOT / "bench/peer"), "podman", env=settings).split()]

    def cli(self, *arguments):
        return run(*self.command, *arguments, stdin=subprocess.DEVNULL)

    def pull(self, name):
        """Milliseconds."""
        begin = time.perf_counter()
        self.cli("pull", "-q", "--tls-verify=false", "--signature-policy", str(self.folder / "podman/policy.json"), name)
        return (time.perf_counter() - begin) * 1000

    def forget(self):
        self.cli("rmi", "-af")


class Slipway(Engine):
    def start(self):
        STATE.mkdir(parents=True, exist_ok=True)
        RUN.mkdir(parents=True, exist_ok=True)
        if not pathlib.Path("/run/netns", NAMESPACE).exists():
            run("ip", "netns", "add", NAMESPACE)
            run("ip", "-n", NAMESPACE, "link", "set", "lo", "up")
        self.socket = f"unix://{RUN}/slipway.sock"
        log = open(STATE / "engine.log", "a")
        subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{NAMESPACE}", "unshare", "--mount", "--propagation", "slave",
             os.environ.get("SLIPWAY_BIN") or str(ROOT / "artifacts/install/bin/slipway"), "daemon",
             "--data-root", str(STATE / "data"), "--exec-root", str(RUN), "-H", self.socket, "--pidfile", f"{RUN}/engine.pid",
             "--bridge", "slipbench0", "--bip", "10.218.0.1/16"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 30
        while subprocess.run([self.docker, "version"], env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            if time.monotonic() > deadline:
                sys.exit(f"bench: slipway did not answer within 30 s, see {STATE}/engine.log")
            time.sleep(0.02)

    def stop(self):
        for pid in self.pids():
            os.kill(pid, 15)
        deadline = time.monotonic() + 10
        while (left := self.pids()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, 9)

    def clean(self):
        if pathlib.Path("/run/netns", NAMESPACE).exists():
            run("ip", "netns", "delete", NAMESPACE)
        subprocess.run(["find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", "*/slipway-bench*", "-exec", "rmdir", "{}", ";"], stderr=subprocess.DEVNULL)
        shutil.rmtree(STATE, ignore_errors=True)
        shutil.rmtree(RUN, ignore_errors=True)

    def pids(self):
        return processes(lambda line: "slipway" in pathlib.Path(line[0]).name and any(str(RUN) in part for part in line))

    def members(self):
        """With the supervisor's launch hosts, which have no command line."""
        own, hosts = self.pids(), []
        for folder in pathlib.Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and (folder / "comm").read_text() == "slipway-launch\n" and int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) in own:
                    hosts.append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # It has ended while the list was read.
        return own + hosts


def processes(matches):
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_text().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if line[0] and matches(line):
                found.append(int(folder.name))
    return found


def leave(engine):
    """Ends the engine and its containers, which outlive ours otherwise; after a failure it may not answer any more."""
    try:
        engine.remove_all()
    except subprocess.CalledProcessError:
        say(f"{engine.name} did not remove its containers")
    engine.stop()


def processor_time(engine):
    """Seconds of user and system time of each of the engine's processes (proc(5), stat)."""
    times = {}
    for pid in engine.pids():
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            times[pid] = (int(fields[11]) + int(fields[12])) / TICKS
        except (FileNotFoundError, ProcessLookupError):
            pass  # Ended meanwhile.
    return times


def processor_seconds(before, after):
    """What the processes took that are there afterwards; of those that ended nothing is known."""
    return sum(used - before.get(pid, 0) for pid, used in after.items())


def image(engine):
    """The same image for all: Debian's static busybox, called alpine as in the measures."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        binaries = pathlib.Path(folder) / "bin"
        binaries.mkdir()
        shutil.copy2("/bin/busybox", binaries / "busybox")
        for applet in ("sh", "true", "sleep", "cat", "rm", "mkdir"):
            (binaries / applet).symlink_to("busybox")
        archive = subprocess.Popen(["tar", "-C", folder, "--numeric-owner", "--owner=0", "--group=0", "-c", "."], stdout=subprocess.PIPE)
        run(engine.docker, "import", "-", "alpine", env=engine.environment(), stdin=archive.stdout)


def alternate(engines, samples, measure):
    """Medians by engine of a measure taken in turn."""
    times = {engine: [] for engine in engines}
    for _ in range(samples):
        for engine in engines:
            times[engine].append(measure(engine))
    return [statistics.median(times[engine]) for engine in engines]


def row(measure, ours, theirs, unit, must, ratio=True):
    """A line of the table; the ratio says how many times more the peer takes."""
    digits = 2 if ours < 10 else 0
    factor = f"{theirs / ours:.1f} times" if ratio and theirs and ours > 0 else ""
    peer = f"{theirs:.{2 if theirs < 10 else 0}f} {unit}" if theirs is not None else ""
    return f"| {measure} | {ours:.{digits}f} {unit} | {peer} | {factor} | {must} |"


def write(text, place="table"):
    """Puts a table between the marks of its place in docs/performance.md."""
    document = ROOT / "docs/performance.md"
    old = document.read_text()
    new = re.sub(rf"(<!-- {place} -->\n).*(<!-- end of {place} -->)", lambda match: match.group(1) + text + "\n" + match.group(2), old, flags=re.S)
    document.write_text(new)


def publish():
    """Installs Slipway for the measure unless SLIPWAY_BIN names one."""
    if not os.environ.get("SLIPWAY_BIN"):
        say("publishing slipway")
        run(str(ROOT / "install"), "--prefix", str(ROOT / "artifacts/install"), "--no-systemd")


def facts(docker):
    """What the figures were taken on."""
    model = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return f"{os.cpu_count()} × {model.group(1) if model else platform.machine()}, Linux {platform.release()}, {run(docker, '--version').split(',')[0]}"
