using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Containers in user namespaces (<c>userns-remap</c>): root inside is nobody in particular outside, and notices little of it.</summary>
public sealed class UserNamespaceTests(RemappedEngine remapped) : IClassFixture<RemappedEngine>, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-test-").FullName;
    private readonly string _name = "u" + Guid.NewGuid().ToString("N")[..8];

    private Docker Docker => remapped.Docker;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        using (var remove = Docker.Start("rm", "-f", "-v", _name))
        {
            remove.WaitForExit();
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Root_of_a_container_is_another_user_of_the_host()
    {
        Assert.Contains("name=userns", await Docker.Ok("info", "-f", "{{.SecurityOptions}}"), StringComparison.Ordinal);
        await Docker.Ok("run", "-d", "--name", _name, "alpine", "sleep", "1000");
        Assert.Equal($"0 {RemappedEngine.Root} 65536", Words(await Docker.Ok("exec", _name, "cat", "/proc/self/uid_map")));
        var pid = await Docker.Inspect(_name, "{{.State.Pid}}");
        Assert.Contains($"Uid:\t{RemappedEngine.Root}\t", await File.ReadAllTextAsync($"/proc/{pid}/status", Cancellation), StringComparison.Ordinal);
        Assert.Equal("uid=0(root)", (await Docker.Ok("exec", _name, "id")).Split(' ')[0]);
        Assert.Equal("1000", await Docker.Ok("exec", "-u", "1000", _name, "id", "-u"));
        Assert.Contains($"\n{RemappedEngine.Root} ", (await Docker.Run("top", _name)).Ok().Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_of_images_volumes_and_devices_are_root_s_inside_and_on_disk()
    {
        var shown = await Docker.Ok(
            "run", "--name", _name, "-v", $"{_name}:/volume", "--tmpfs", "/temporary:uid=5,mode=700", "alpine", "sh", "-c",
            "touch /made /volume/made; chown 7:8 /volume/made; for f in / /bin/busybox /dev/null /dev/shm /etc/hosts /etc/resolv.conf /volume /made; do stat -c '%u:%g' $f; done; stat -c %u:%g /temporary /volume/made; echo to-the-stream > /dev/stdout");
        Assert.Equal("0:0 0:0 0:0 0:0 0:0 0:0 0:0 0:0 5:0 7:8 to-the-stream", Words(shown));
        var volume = await Docker.Ok("volume", "inspect", "-f", "{{.Mountpoint}}", _name);
        Assert.Equal("7:8", (await Programs.Run("stat", ["-c", "%u:%g", Path.Combine(volume, "made")])).Ok().Line);
        Assert.Equal("A /made A /temporary A /volume", Words(await Docker.Ok("diff", _name)));

        // The same layers and the same volume serve containers with the host's ids.
        Assert.Equal("0:0 7:8", Words(await Docker.Ok("run", "--rm", "--userns", "host", "-v", $"{_name}:/volume", "alpine", "stat", "-c", "%u:%g", "/bin/busybox", "/volume/made")));
        await Docker.Ok("rm", _name);
        await Docker.Ok("volume", "rm", _name);
    }

    [Fact]
    [RunOption("--userns")]
    public async Task The_host_s_user_namespace_can_be_asked_for()
    {
        Assert.Equal("0 0 4294967295", Words(await Docker.Ok("run", "--rm", "--userns", "host", "alpine", "cat", "/proc/self/uid_map")));
        Assert.Equal("ok", await Docker.Ok("run", "--rm", "--userns=host", "--privileged", "--pid=host", "alpine", "echo", "ok"));
        Assert.Contains("invalid USER mode", (await Docker.Run("run", "--rm", "--userns", "other", "alpine", "true")).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--privileged", "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode")]
    [InlineData("--network=host", "cannot share the host's network namespace when user namespaces are enabled")]
    [InlineData("--pid=host", "cannot share the host PID namespace when user namespaces are enabled")]
    public async Task What_needs_the_host_s_privileges_is_refused_in_Docker_s_words(string option, string message)
    {
        var result = await Docker.Run("run", "--rm", option, "alpine", "true");
        Assert.Equal(125, result.ExitCode);
        Assert.Contains(message, result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Copies_commits_and_exports_have_the_ids_of_the_container()
    {
        await Docker.Ok("run", "-d", "--name", _name, "-u", "1000:1000", "alpine", "sleep", "1000");
        var file = Path.Combine(_folder, "file");
        await File.WriteAllTextAsync(file, "content", Cancellation);
        (await Programs.Run("chown", ["33:44", file])).Ok();
        await Docker.Ok("exec", "-u", "0", _name, "sh", "-c", "mkdir /made && chown 7:8 /made");
        await Docker.Ok("cp", file, $"{_name}:/made/running");
        Assert.Equal("33:44", await Docker.Ok("exec", _name, "stat", "-c", "%u:%g", "/made/running"));
        await Docker.Ok("cp", "-a", file, $"{_name}:/made/owned");
        Assert.Equal("1000:1000", await Docker.Ok("exec", _name, "stat", "-c", "%u:%g", "/made/owned"));
        var tar = Path.Combine(_folder, "out.tar");
        (await Programs.Run("sh", ["-c", "\"$1\" cp \"$2:/made\" - > \"$3\"", "sh", Docker.Path, _name, tar], environment: Docker.Variables)).Ok();
        var owners = (await Programs.Run("tar", ["-tvf", tar, "--numeric-owner"])).Ok().Lines.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Select(fields => $"{fields[5]} {fields[1]}");
        Assert.Equal(["made/ 7/8", "made/owned 1000/1000", "made/running 33/44"], owners.Order(StringComparer.Ordinal));
        var image = $"{_name}/image:1";
        await Docker.Ok("commit", _name, image);
        Assert.Equal("33:44", await Docker.Ok("run", "--rm", image, "stat", "-c", "%u:%g", "/made/running"));
        await Docker.Ok("stop", "-t", "0", _name);
        await Docker.Ok("cp", file, $"{_name}:/made/stopped");
        await Docker.Ok("start", _name);
        Assert.Equal("33:44", await Docker.Ok("exec", _name, "stat", "-c", "%u:%g", "/made/stopped"));
        await Docker.Ok("rmi", image);
    }

    [Fact]
    public async Task A_file_of_an_id_that_the_container_has_not_is_refused()
    {
        await Docker.Ok("run", "-d", "--name", _name, "alpine", "sleep", "1000");
        var file = Path.Combine(_folder, "file");
        await File.WriteAllTextAsync(file, "content", Cancellation);
        (await Programs.Run("chown", ["70000:70000", file])).Ok();
        Assert.Contains("user id 70000 is not in the container's user namespace", (await Docker.Run("cp", file, $"{_name}:/file")).Error, StringComparison.Ordinal);
        Assert.NotEqual(0, (await Docker.Run("exec", _name, "test", "-e", "/file")).ExitCode);
        Assert.Contains("user 70000 is not in the container's user namespace", (await Docker.Run("run", "--rm", "-u", "70000", "alpine", "true")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Terminals_belong_to_the_container_s_user()
    {
        await Docker.Ok("run", "-d", "--name", _name, "-t", "alpine", "sh", "-c", "stat -c '%u:%g' $(tty) /dev/console; sleep 1000");
        Assert.Equal("0:5 0:5", Words(await Docker.Until(output => output.Split('\n').Length > 2, ["logs", _name])));
        await using var terminal = new Terminal(Docker, "exec", "-it", "-u", "5", _name, "sh", "-c", "stat -c '%u:%g' $(tty)");
        await terminal.Expect("5:5");
    }

    [Fact]
    public async Task Its_other_namespaces_are_the_container_s_root_s()
    {
        var output = await Docker.Ok(
            "run", "--rm", "--cap-add", "NET_ADMIN", "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.shmmax=1000000", "--ulimit", "nofile=1000:2000", "--oom-score-adj", "500", "alpine",
            "sh", "-c", "ip link set lo down && echo down; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/self/oom_score_adj; ulimit -n; hostname other 2>&1 | tail -c 10");
        Assert.Equal("down 1 1000000 500 1000 permitted", Words(output));
        await Docker.Ok("run", "-d", "--name", _name, "alpine", "sleep", "1000");
        var users = await Docker.Ok("exec", _name, "readlink", "/proc/self/ns/user");
        Assert.Equal(users, await Docker.Ok("run", "--rm", "--network", $"container:{_name}", "alpine", "readlink", "/proc/self/ns/user"));
        Assert.Equal($"{users} down", Words(await Docker.Ok("run", "--rm", "--pid", $"container:{_name}", "--cap-add", "NET_ADMIN", "alpine", "sh", "-c", "readlink /proc/self/ns/user; ip link set lo down && echo down")));
        Assert.NotEqual(users, await Docker.Ok("run", "--rm", "alpine", "readlink", "/proc/self/ns/user"));
    }

    [Fact]
    public async Task Published_ports_and_the_network_work()
    {
        await Docker.Ok("run", "-d", "--name", _name, "-p", "127.0.0.1::8080", "alpine", "sh", "-c", "while true; do echo answer | nc -l -p 8080; done");
        var port = (await Docker.Ok("port", _name, "8080")).Split(':')[1];
        var answer = "";
        for (var attempt = 0; attempt < 50 && answer.Length == 0; attempt++)
        {
            answer = (await Programs.Run("bash", ["-c", $"exec 3<>/dev/tcp/127.0.0.1/{port} && head -n 1 <&3"])).Output;
            await Task.Delay(answer.Length > 0 ? 0 : 100, Cancellation);
        }

        Assert.Equal("answer\n", answer);
    }

    [Fact]
    public async Task Files_of_the_host_s_root_are_out_of_reach_in_a_bind()
    {
        var secret = Path.Combine(_folder, "secret");
        await File.WriteAllTextAsync(secret, "secret", Cancellation);
        File.SetUnixFileMode(secret, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.SetUnixFileMode(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherExecute);
        var output = await Docker.Run(
            "run", "--rm", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "-v", $"{_folder}:/host", "alpine", "sh", "-c",
            "stat -c %u /host/secret; cat /host/secret; chown 0 /host/secret; chmod 777 /host/secret; touch /host/new; echo changed > /host/secret");
        Assert.Equal("65534\n", output.Output);
        Assert.Equal("secret", await File.ReadAllTextAsync(secret, Cancellation));
        Assert.Equal(["secret"], Directory.EnumerateFiles(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public async Task An_id_mapped_bind_shows_files_as_the_container_s_own()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "file"), "x", Cancellation);
        Assert.Equal("0:0 0:0", Words(await Docker.Ok("run", "--rm", "-v", $"{_folder}:/data:idmap", "alpine", "sh", "-c", "touch /data/made; stat -c %u:%g /data/file /data/made")));
        Assert.Equal("0:0", (await Programs.Run("stat", ["-c", "%u:%g", Path.Combine(_folder, "made")])).Ok().Line);
        Assert.Equal("7:7", await Docker.Ok("run", "--rm", "-v", $"{_folder}:/data:idmap=uids=0-7-1", "alpine", "stat", "-c", "%u:%g", "/data/file"));
        Assert.Contains("are not together in the container's user namespace", (await Docker.Run("run", "--rm", "-v", $"{_folder}:/data:idmap=uids=0-70000-1", "alpine", "true")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CVE_2022_0492_all_capabilities_of_a_user_namespace_do_not_reach_the_host()
    {
        var panic = await File.ReadAllTextAsync("/proc/sys/kernel/panic", Cancellation);
        var result = await Docker.Run(
            "run", "--rm", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined", "alpine", "sh", "-c",
            """
            mkdir /m; for h in memory cpu pids; do mount -t cgroup -o $h c /m && echo x > /m/release_agent && echo REACHED; done
            mount -o remount,rw /proc/sys; echo 7 > /proc/sys/kernel/panic && echo REACHED
            echo c > /proc/sysrq-trigger && echo REACHED
            echo '|/x' > /proc/sys/kernel/core_pattern && echo REACHED
            mknod /m/disk b 254 0 && head -c 1 /m/disk > /dev/null && echo REACHED
            mount -t ext4 /m/disk /mnt && echo REACHED
            echo -1000 > /proc/self/oom_score_adj && echo REACHED
            hostname reached && hostname
            """);
        Assert.Equal("reached\n", result.Output);
        Assert.Equal(panic, await File.ReadAllTextAsync("/proc/sys/kernel/panic", Cancellation));
        Assert.NotEqual("reached", Environment.MachineName);
    }

    [Fact]
    public async Task A_program_with_set_user_id_on_a_volume_is_out_of_the_host_s_users_reach()
    {
        await Docker.Ok("run", "--rm", "-v", $"{_name}:/volume", "alpine", "sh", "-c", "cp /bin/busybox /volume/suid && chmod 4755 /volume/suid");
        var volume = await Docker.Ok("volume", "inspect", "-f", "{{.Mountpoint}}", _name);
        var result = await Programs.Run("setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", $"{volume}/suid id"]);
        Assert.True(File.Exists($"{volume}/suid"));
        Assert.Equal("", result.Output);
        Assert.EndsWith("Permission denied\n", result.Error, StringComparison.Ordinal);
        await Docker.Ok("volume", "rm", _name);
    }

    [Fact]
    public async Task Containers_are_had_again_after_the_engine_was_killed_and_keep_their_namespace()
    {
        await Docker.Ok("run", "-d", "--name", _name, "alpine", "sleep", "1000");
        var users = await Docker.Ok("exec", _name, "readlink", "/proc/self/ns/user");
        await remapped.Restart();
        Assert.Equal(users, await Docker.Ok("exec", _name, "readlink", "/proc/self/ns/user"));
        await Docker.Ok("restart", "-t", "0", _name);
        Assert.Equal($"0 {RemappedEngine.Root.ToString(CultureInfo.InvariantCulture)} 65536", Words(await Docker.Ok("exec", _name, "cat", "/proc/self/uid_map")));
    }

    private static string Words(string text) => string.Join(' ', text.Split((char[])[' ', '\n', '\r', '\t'], StringSplitOptions.RemoveEmptyEntries));
}
