using System.Formats.Tar;
using System.Text;

namespace Slipway.Tests.Engine.Server.BuildKit;

internal static class TestTar
{
    /// <summary>A tar of files.</summary>
    public static byte[] Of(params (string Name, string Text)[] files)
    {
        using MemoryStream bytes = new();
        using (TarWriter writer = new(bytes, leaveOpen: true))
        {
            foreach ((string name, string text) in files)
            {
                writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)) });
            }
        }

        return bytes.ToArray();
    }
}
