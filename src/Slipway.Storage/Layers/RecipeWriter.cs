using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Compression;
using Slipway.Kernel.Files;
using Slipway.Storage.Content;

namespace Slipway.Storage.Layers;

/// <summary>Writes a layer's <see cref="Recipe"/> while the layer is unpacked.</summary>
internal sealed class RecipeWriter : IDisposable
{
    private const uint FileMode = 0x180; // 0600

    private readonly SafeFileHandle _layer;
    private readonly DescriptorStream _file;
    private readonly BufferedStream _steps;
    private readonly byte[] _literal = new byte[Recipe.MaxLiteral];
    private int _literalLength;
    private SafeFileHandle? _lost;
    private ulong _lostCount;
    private bool _hasContents;

    /// <param name="layer">The layer's directory; stays the caller's.</param>
    public RecipeWriter(SafeFileHandle layer)
    {
        _layer = layer;
        _file = new DescriptorStream(DirectoryEntry.CreateFile(layer, Recipe.FileName, FileMode));
        _steps = new BufferedStream(new ZstdCompressionStream(_file, Recipe.CompressionLevel), Recipe.MaxLiteral);
    }

    public void AddLiteral(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var count = Math.Min(bytes.Length, _literal.Length - _literalLength);
            bytes[..count].CopyTo(_literal.AsSpan(_literalLength));
            _literalLength += count;
            bytes = bytes[count..];
            if (_literalLength == _literal.Length)
            {
                FlushLiteral();
            }
        }
    }

    /// <param name="path">Canonical: no component is a link.</param>
    public void AddContent(ReadOnlySpan<byte> path, long offset, long length)
    {
        FlushLiteral();
        _hasContents = true;
        _steps.WriteByte(Recipe.Content);
        WriteBytes(path);
        WriteNumber((ulong)offset);
        WriteNumber((ulong)length);
    }

    /// <summary>
    /// Takes what an entry replaces out of the layer. Contents in it are part of the tar all the same, so they are put aside; what has
    /// none is removed.
    /// </summary>
    /// <param name="path">Canonical path of the entry.</param>
    public void Replace(SafeFileHandle directory, ReadOnlySpan<byte> name, ReadOnlySpan<byte> path, in FileStatus status)
    {
        if (!_hasContents || !(status.IsDirectory || (status.IsRegularFile && status.Size > 0)))
        {
            TreeRemoval.Remove(directory, name);
            return;
        }

        if (_lost is null)
        {
            DirectoryEntry.CreateDirectory(_layer, Recipe.LostName, DataRoot.DirectoryMode);
            _lost = DirectoryEntry.Open(_layer, Recipe.LostName, OpenFlags.Directory);
        }

        DirectoryEntry.Rename(directory, name, _lost, NameOf(_lostCount));
        FlushLiteral();
        _steps.WriteByte(Recipe.Lost);
        WriteBytes(path);
        WriteNumber(_lostCount++);
    }

    /// <summary>Ends the recipe.</summary>
    public void Finish()
    {
        FlushLiteral();
        _steps.WriteByte(Recipe.End);
        _steps.Dispose();
        _file.Dispose();
    }

    public void Dispose()
    {
        _lost?.Dispose();

        // What an unfinished recipe still has in its buffers goes nowhere.
        _file.Dispose();
        _steps.Dispose();
    }

    public static string NameOf(ulong lost) => lost.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private void FlushLiteral()
    {
        if (_literalLength > 0)
        {
            _steps.WriteByte(Recipe.Literal);
            WriteBytes(_literal.AsSpan(0, _literalLength));
            _literalLength = 0;
        }
    }

    private void WriteBytes(ReadOnlySpan<byte> bytes)
    {
        WriteNumber((ulong)bytes.Length);
        _steps.Write(bytes);
    }

    private void WriteNumber(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            _steps.WriteByte((byte)(value | 0x80));
        }

        _steps.WriteByte((byte)value);
    }
}
