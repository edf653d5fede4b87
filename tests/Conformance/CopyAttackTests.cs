using System.Formats.Tar;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Containers and archives that try to make <c>docker cp</c> do more than copy.</summary>
public sealed class CopyAttackTests(SharedEngine engine) : EngineTest(engine)
{
    private const string Marker = "#!/bin/sh\necho \"$0\" >> /marker\nexec cat\n";

    [Fact]
    public async Task CVE_2019_14271_no_library_and_no_program_of_the_container_takes_part()
    {
        var name = await Sleeper("-u", "nobody");
        var folder = Folder();
        await File.WriteAllTextAsync($"{folder}/evil", Marker, Cancellation);
        (await Programs.Run("chmod", ["755", $"{folder}/evil"])).Ok();
        foreach (var library in (string[])["/lib/libnss_files.so.2", "/lib/x86_64-linux-gnu/libnss_files.so.2", "/usr/lib/libnss_compat.so.2", "/etc/ld.so.preload"])
        {
            await Docker.Ok("exec", "-u", "root", name, "mkdir", "-p", Path.GetDirectoryName(library)!);
            await Docker.Ok("cp", $"{folder}/evil", $"{name}:{library}");
        }

        await Docker.Ok("exec", "-u", "root", name, "sh", "-c", "printf 'passwd: evil files\\n' > /etc/nsswitch.conf; rm -f /marker");
        await Docker.Ok("cp", "-a", $"{folder}/evil", $"{name}:/tmp/in");
        await Docker.Ok("cp", "-a", $"{name}:/etc", folder);
        Assert.Equal("65534", await Docker.Ok("exec", name, "stat", "-c", "%u", "/tmp/in"));
        (await Docker.Run("exec", name, "cat", "/marker")).Exited(1);
        if (Pid is { } pid)
        {
            // The host's own are the engine's to use, as when it resolves the address of a network volume: the path on the host is the very file that is mapped.
            foreach (var fields in (await File.ReadAllLinesAsync($"/proc/{pid}/maps", Cancellation)).Select(line => line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
                .Where(fields => fields.Length == 6 && fields[5].Contains("libnss", StringComparison.Ordinal)))
            {
                var files = (await Programs.Run("stat", ["-L", "-c", "%d %i", fields[5], $"/proc/{pid}/map_files/{fields[0]}"])).Ok().Lines;
                Assert.Equal(files[0], files[1]);
            }
        }
    }

    [Theory]
    [InlineData("xz")]
    [InlineData("gzip")]
    public async Task CVE_2026_41567_decompressors_of_the_container_are_not_executed(string program)
    {
        var name = await Sleeper();
        var folder = Folder();
        await File.WriteAllTextAsync($"{folder}/evil", Marker, Cancellation);
        (await Programs.Run("chmod", ["755", $"{folder}/evil"])).Ok();
        foreach (var victim in (string[])["xz", "unxz", "gzip", "gunzip", "unpigz", "pigz", "zstd"])
        {
            // Links to busybox, which would be what is written to.
            await Docker.Ok("exec", name, "rm", "-f", $"/usr/bin/{victim}", $"/bin/{victim}");
            await Docker.Ok("cp", $"{folder}/evil", $"{name}:/usr/bin/{victim}");
            await Docker.Ok("cp", $"{folder}/evil", $"{name}:/bin/{victim}");
        }

        await File.WriteAllBytesAsync($"{folder}/tar", Archive.Of(Archive.Text("unpacked", "yes")), Cancellation);
        (await Programs.Run("sh", ["-c", $"{program} -c {folder}/tar | \"$0\" cp - \"$1:/tmp\"", Docker.Path, name], environment: Docker.Variables)).Ok();
        Assert.Equal("yes", await Docker.Ok("exec", name, "cat", "/tmp/unpacked"));
        (await Docker.Run("exec", name, "cat", "/marker")).Exited(1);
        Assert.False(File.Exists("/marker"));
    }

    [Theory]
    [InlineData("/proc/1/root")]
    [InlineData("/proc/self/root")]
    [InlineData("/proc/self/cwd")]
    [InlineData("/proc/1/cwd")]
    [InlineData("/proc/thread-self/root/..")]
    public async Task Links_of_procfs_lead_nowhere(string target)
    {
        var outside = Folder();
        await File.WriteAllTextAsync($"{outside}/secret", "host", Cancellation);
        var name = await Sleeper();
        await Docker.Ok("exec", name, "ln", "-s", target, "/way");
        (await Docker.Run("cp", $"{name}:/way{outside}/secret", $"{outside}/copied")).Exited(1);
        (await Docker.Run("cp", $"{name}:{target}/etc/passwd", $"{outside}/copied")).Exited(1);
        (await Docker.Run("cp", $"{outside}/secret", $"{name}:/way/tmp")).Exited(1);
        (await Docker.Run("cp", $"{outside}/secret", $"{name}:/way{outside}/planted")).Exited(1);
        Assert.Equal([$"{outside}/secret"], Directory.GetFileSystemEntries(outside));
    }

    [Fact]
    public async Task What_is_copied_to_procfs_or_sysfs_does_not_reach_the_kernel()
    {
        var name = await Sleeper("--privileged");
        var before = await File.ReadAllTextAsync("/proc/sys/kernel/core_pattern", Cancellation);
        await Docker.Ok("exec", name, "sh", "-c", "mkdir /place; mount -t proc proc /place; mkdir /other; ln -s /proc/sys/kernel /other/kernel; ln -s /proc/sys/kernel/core_pattern /other/file");
        var tar = Archive.Of(Archive.Text("core_pattern", before));
        (await Docker.RunWith(new MemoryStream(tar), "cp", "-", $"{name}:/place/sys/kernel")).Exited(1);
        (await Docker.RunWith(new MemoryStream(tar), "cp", "-", $"{name}:/proc/sys/kernel")).Exited(1);
        (await Docker.RunWith(new MemoryStream(tar), "cp", "-", $"{name}:/other/kernel")).Exited(1);
        using var http = new EngineHttp(Docker.Socket);
        foreach (var path in (string[])["/place/sys/kernel", "/place", "/proc/sys/kernel", "/other/kernel", "/sys/kernel", "/dev/pts"])
        {
            var answer = await http.Send(HttpMethod.Put, $"/containers/{name}/archive?path={path}", new ByteArrayContent(tar));
            Assert.Equal((404, $"Could not find the file {path} in container {name}"), (answer.Status, answer.Json["message"]!.ToString()));
        }

        (await Docker.RunWith(new MemoryStream(Archive.Of(Archive.Text("kernel/core_pattern", before))), "cp", "-", $"{name}:/other")).Exited(1);

        // The link itself is replaced, not what it leads to.
        (await Docker.RunWith(new MemoryStream(Archive.Of(Archive.Text("file", "|/evil"))), "cp", "-", $"{name}:/other")).Ok();
        Assert.Equal("|/evil", await Docker.Ok("exec", name, "cat", "/other/file"));
        Assert.Equal(before, await File.ReadAllTextAsync("/proc/sys/kernel/core_pattern", Cancellation));
        (await Docker.Run("cp", $"{name}:/place/kcore", Folder())).Exited(1);
    }

    [Fact]
    public async Task Archives_that_lead_outside_stay_in_the_container()
    {
        var outside = Folder();
        var name = await Sleeper();
        await Docker.Ok("exec", name, "mkdir", "/d");
        (await Put(Archive.Text("../up", "evil"))).Exited(1).Says("outside");
        (await Put(Archive.Text("a/../../up", "evil"))).Exited(1).Says("outside");
        (await Put(Archive.HardLink("l", "../etc/passwd"))).Exited(1).Says("outside");
        (await Put(Archive.HardLink("l", outside + "/none"))).Exited(1).Says("does not exist");
        (await Put(Archive.Text(outside + "/absolute", "evil"))).Ok();
        (await Put(Archive.Link("host", outside), Archive.Text("host/through", "evil"))).Exited(1);
        (await Put(Archive.Link("rel", "../../../../../.." + outside), Archive.Text("rel/through", "evil"))).Exited(1);
        (await Put(Archive.Link("etc", "/etc"), Archive.Text("etc/through", "inside"))).Ok();
        (await Put(Archive.Link("chain", "etc"), Archive.Link("chain2", "chain/.."), Archive.Text("chain2/tmp/through", "inside"))).Ok();
        Assert.Equal("inside inside evil", await Docker.Ok("exec", name, "sh", "-c", $"echo $(cat /etc/through) $(cat /tmp/through) $(cat /d{outside}/absolute)"));
        Assert.Empty(Directory.GetFileSystemEntries(outside));

        Task<CliResult> Put(params TarEntry[] entries) => Docker.RunWith(new MemoryStream(Archive.Of(entries)), "cp", "-", $"{name}:/d");
    }

    [Fact]
    public async Task Device_nodes_of_an_archive_are_nodes_the_container_may_not_use()
    {
        var name = await Sleeper();
        var disk = new PaxTarEntry(TarEntryType.BlockDevice, "disk") { DeviceMajor = 8, DeviceMinor = 0, Mode = (UnixFileMode)0x1B6 };
        var kmsg = new PaxTarEntry(TarEntryType.CharacterDevice, "kmsg") { DeviceMajor = 1, DeviceMinor = 11, Mode = (UnixFileMode)0x1B6 };
        (await Docker.RunWith(new MemoryStream(Archive.Of(disk, kmsg)), "cp", "-", $"{name}:/tmp")).Ok();
        (await Docker.Run("exec", name, "head", "-c", "1", "/tmp/disk")).Exited(1).Says("Operation not permitted");
        (await Docker.Run("exec", name, "head", "-c", "1", "/tmp/kmsg")).Exited(1).Says("Operation not permitted");

        // Taken out again they are nodes, not what is behind them.
        Assert.Equal("b", (await Programs.Run("sh", ["-c", "\"$0\" cp \"$1:/tmp/disk\" - | tar -tvf - | cut -c 1", Docker.Path, name], environment: Docker.Variables)).Ok().Line);
    }
}
