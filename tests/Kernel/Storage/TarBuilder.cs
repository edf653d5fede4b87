using System.Text;
using Slipway.Oci.Tar;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>Writes a tar in memory, entry by entry.</summary>
#pragma warning disable CA1001 // A MemoryStream holds nothing to dispose of.
internal sealed class TarBuilder
#pragma warning restore CA1001
{
    private readonly MemoryStream _stream = new();
    private readonly TarWriter _writer;

    public TarBuilder() => _writer = new TarWriter(_stream);

    public TarBuilder File(string name, string content = "", uint mode = 0x1a4) =>
        Add(new TarEntry { Name = Bytes(name), Mode = mode, Size = Encoding.UTF8.GetByteCount(content) }, content);

    public TarBuilder Folder(string name, uint mode = 0x1ed) => Add(new TarEntry { Name = Bytes(name), Type = TarEntryType.Directory, Mode = mode });

    public TarBuilder Symlink(string name, string target) => Add(new TarEntry { Name = Bytes(name), Type = TarEntryType.SymbolicLink, LinkName = Bytes(target), Mode = 0x1ff });

    public TarBuilder Link(string name, string target, uint mode = 0x1a4) =>
        Add(new TarEntry { Name = Bytes(name), Type = TarEntryType.HardLink, LinkName = Bytes(target), Mode = mode });

    public TarBuilder Add(TarEntry entry, string content = "")
    {
        _writer.WriteEntry(entry);
        _writer.WriteData(Bytes(content));
        return this;
    }

    public TarBuilder Add(TarEntry entry, byte[] content)
    {
        _writer.WriteEntry(entry);
        _writer.WriteData(content);
        return this;
    }

    public byte[] ToArray()
    {
        _writer.Finish();
        return _stream.ToArray();
    }

    public MemoryStream ToStream() => new(ToArray());

    internal static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
