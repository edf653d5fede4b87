using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>Which sockets engine and supervisor offer, and to whom.</summary>
public sealed class SocketTests() : FaultTest("socket")
{
    private HashSet<string> SocketInodes() =>
        [.. from process in new[] { Engine.Pid, Engine.SupervisorPid }
            from link in Directory.EnumerateFileSystemEntries($"/proc/{process}/fd")
            let target = new FileInfo(link).LinkTarget
            where target is not null && target.StartsWith("socket:[", StringComparison.Ordinal)
            select target["socket:[".Length..^1]];

    [Fact]
    public async Task CVE_2020_15257_no_abstract_socket_is_offered_to_containers_of_the_host_network()
    {
        await Docker.Ok("run", "-d", "--name", "hostnet", "--network", "host", "alpine", "sleep", "1000");
        var inodes = SocketInodes();
        var visible = (await Docker.Run("exec", "hostnet", "cat", "/proc/net/unix")).Ok().Lines.Skip(1)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(fields => fields.Length == 8 && inodes.Contains(fields[6])).ToArray();
        Assert.NotEmpty(visible);
        Assert.DoesNotContain(visible, fields => fields[7].StartsWith('@'));
    }

    [Fact]
    public async Task Sockets_in_the_file_system_are_for_root_only()
    {
        Assert.Equal(0, (int)(File.GetUnixFileMode(Docker.Socket) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite)));
        var sockets = (await Programs.Run("find", [Engine.ExecRoot, "-type", "s"])).Ok().Lines.Where(path => path != Docker.Socket).ToArray();
        Assert.NotEmpty(sockets);
        foreach (var socket in sockets)
        {
            var result = await Programs.Run("setpriv", ["--reuid", "65534", "--clear-groups", "python3", "-c", $"import socket; socket.socket(socket.AF_UNIX).connect('{socket}')"]);
            Assert.NotEqual(0, result.ExitCode);
        }
    }

    [Fact]
    public async Task CVE_2025_9074_engine_listens_on_no_address_a_container_could_reach()
    {
        var inodes = SocketInodes();
        string[] tables = [$"/proc/{Engine.Pid}/net/tcp", $"/proc/{Engine.Pid}/net/tcp6"];
        // Column 4 is the state (0A: listening), column 10 the inode (proc(5)).
        var listening = tables.Where(File.Exists).SelectMany(File.ReadLines).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => fields.Length > 9 && fields[3] == "0A" && inodes.Contains(fields[9]));
        Assert.Empty(listening);
        foreach (var port in new[] { 2375, 2376, 4243 })
        {
            var answer = await Docker.Run("run", "--rm", "alpine", "sh", "-c", $"echo -e 'GET /_ping HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {Engine.Gateway} {port.ToString(CultureInfo.InvariantCulture)}");
            Assert.DoesNotContain("Api-Version", answer.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Container_cannot_reach_the_engines_descriptors_or_memory()
    {
        foreach (var process in new[] { Engine.Pid, Engine.SupervisorPid })
        {
            (await Docker.Run("run", "--rm", "alpine", "ls", $"/proc/{process}/fd")).Exited(1);
        }
        // Even one that shares the host's process ids may not look into them: it lacks ptrace.
        var result = await Docker.Run("run", "--rm", "--pid", "host", "alpine", "readlink", $"/proc/{Engine.SupervisorPid}/root");
        Assert.NotEqual(0, result.ExitCode);
    }
}
