using System.Formats.Tar;
using System.Text;

namespace Slipway.Tests.Harness;

/// <summary>
/// The image most tests run: Alpine's own root file system where it lies beside the repository, otherwise one made of Debian's
/// static busybox with the few files that tests look at, under the same name.
/// </summary>
public static class AlpineImage
{
    public const string Name = "alpine:latest";

    /// <summary>Whoever makes it, at whatever time: it has the same layer, so that engines agree about what was built on it.</summary>
    private static readonly DateTimeOffset s_time = DateTimeOffset.UnixEpoch.AddYears(50);

    /// <summary>Made once: several engines import it at the same time.</summary>
    private static readonly Lazy<Task<string>> s_standIn = new(Generate);

    public static async Task Import(Docker docker)
    {
        var rootfs = Repository.Shared is { } shared ? Path.Combine(shared, "images/rootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz") : await s_standIn.Value;
        (await docker.Run("import", rootfs, Name)).Ok();
    }

    private static async Task<string> Generate()
    {
        const string busybox = "/bin/busybox";
        Requirement.Check(File.Exists(busybox), "needs busybox-static: apt-get install busybox-static");
        var path = Path.Combine(Path.GetTempPath(), $"slipway-alpine-{Environment.ProcessId}.tar");
        var applets = (await Programs.Run(busybox, ["--list"])).Ok().Lines;
        await using var writer = new TarWriter(File.Create(path), TarEntryFormat.Pax);
        foreach (var folder in new[] { "bin/", "etc/", "etc/apk/", "root/", "tmp/", "var/", "usr/", "usr/bin/", "proc/", "sys/", "dev/", "home/", "lib/", "media/", "mnt/", "opt/", "run/", "sbin/", "srv/" })
        {
            var mode = folder == "tmp/" ? Mode(0x3FF) : Mode(0x1ED);
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.Directory, folder) { Mode = mode, ModificationTime = s_time });
        }
        await using (var program = File.OpenRead(busybox))
        {
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, "bin/busybox") { Mode = Mode(0x1ED), ModificationTime = s_time, DataStream = program });
        }
        foreach (var applet in applets.Where(applet => applet != "busybox"))
        {
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.SymbolicLink, $"bin/{applet}") { LinkName = "/bin/busybox", ModificationTime = s_time });
        }
        await Text("etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux v3.20 (test stand-in)\"\n");
        await Text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n");
        await Text("etc/group", "root:x:0:root\nbin:x:1:root,bin\ndaemon:x:2:root\nwheel:x:10:root\nnobody:x:65534:\n");
        await Text("etc/apk/repositories", "");
        return path;

        async Task Text(string name, string content) => await writer.WriteEntryAsync(
            new PaxTarEntry(TarEntryType.RegularFile, name) { Mode = Mode(0x1A4), ModificationTime = s_time, DataStream = new MemoryStream(Encoding.UTF8.GetBytes(content)) });
    }

    private static UnixFileMode Mode(int bits) => (UnixFileMode)bits;
}
