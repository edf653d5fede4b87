using System.Formats.Tar;
using Slipway.Engine;
using Slipway.Engine.Images;
using Xunit;

namespace Slipway.Tests.Engine.Containers;

/// <summary>An image of the host's static busybox (Debian's busybox-static), made in memory.</summary>
internal static class BusyboxImage
{
    public const string Name = "busybox";

    private const string Program = "/bin/busybox";
    private const UnixFileMode Executable = (UnixFileMode)0x1ED;

    private static readonly string[] Applets =
        ["cat", "dd", "echo", "env", "false", "grep", "head", "hostname", "id", "ip", "kill", "ls", "cut", "mkdir", "mount", "ps", "seq", "sh", "sleep", "stat", "stty", "test", "touch", "true", "wc", "rm"];

    public static async Task ImportAsync(SlipwayEngine engine, IReadOnlyList<string> changes, string tag, CancellationToken cancellationToken)
    {
        Assert.True(File.Exists(Program), "these tests need the package busybox-static");
        using MemoryStream archive = new();
        using (TarWriter tar = new(archive, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (string directory in (ReadOnlySpan<string>)["bin", "etc", "root", "tmp"])
            {
                tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, directory) { Mode = Executable });
            }

            using FileStream program = File.OpenRead(Program);
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "bin/busybox") { Mode = Executable, DataStream = program });
            foreach (string applet in Applets)
            {
                tar.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, $"bin/{applet}") { LinkName = "busybox" });
            }

            Text(tar, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nowhere:/bin/false\n");
            Text(tar, "etc/group", "root:x:0:root\nstaff:x:50:root\nnogroup:x:65534:\n");
        }

        archive.Position = 0;
        await engine.Images.ImportAsync(new ImageImport(ImageImport.Given, Name, tag, null, changes, null), archive, _ => ValueTask.CompletedTask, cancellationToken);
    }

    private static void Text(TarWriter tar, string name, string text) =>
        tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { Mode = (UnixFileMode)0x1A4, DataStream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)) });
}
