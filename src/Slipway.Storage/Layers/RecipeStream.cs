using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Compression;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Layers;

/// <summary>The tar of a layer, made again from its recipe and its files.</summary>
internal sealed class RecipeStream : ReadOnlyStream
{
    private readonly SafeFileHandle _layer;
    private readonly RootDirectory _diff;
    private readonly RecipeReader _recipe;
    private readonly LostContents? _lost;
    private long _contents;
    private ReadOnlyMemory<byte> _literal;
    private byte[]? _parentPath;
    private SafeFileHandle? _parent;
    private byte[]? _path;
    private SafeFileHandle? _file;
    private long _offset;
    private long _left;
    private bool _ended;

    /// <param name="layer">The layer's directory; owned from now on.</param>
    public RecipeStream(SafeFileHandle layer)
    {
        _layer = layer;
        try
        {
            _lost = LostContents.TryOpen(layer, OpenRecipe);
            _diff = new RootDirectory(DirectoryEntry.Open(layer, LayerStore.Diff, OpenFlags.Path | OpenFlags.Directory));
            _recipe = OpenRecipe();
        }
        catch
        {
            _diff?.Dispose();
            _lost?.Dispose();
            layer.Dispose();
            throw;
        }
    }

    public override int Read(Span<byte> buffer)
    {
        while (!buffer.IsEmpty && !_ended)
        {
            if (!_literal.IsEmpty)
            {
                var count = Math.Min(_literal.Length, buffer.Length);
                _literal.Span[..count].CopyTo(buffer);
                _literal = _literal[count..];
                return count;
            }

            if (_left > 0)
            {
                var count = RandomAccess.Read(_file!, buffer[..(int)Math.Min(buffer.Length, _left)], _offset);
                if (count == 0)
                {
                    throw new InvalidDataException($"\"{new PathName(_path!).ToString()}\" of a layer has become shorter");
                }

                _offset += count;
                _left -= count;
                return count;
            }

            Advance();
        }

        return 0;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _file?.Dispose();
            _parent?.Dispose();
            _recipe.Dispose();
            _lost?.Dispose();
            _diff.Dispose();
            _layer.Dispose();
        }

        base.Dispose(disposing);
    }

    private RecipeReader OpenRecipe() =>
        new(new FileStream(DirectoryEntry.Open(_layer, Recipe.FileName, OpenFlags.ReadOnly), FileAccess.Read, bufferSize: 0));

    private void Advance()
    {
        switch (_recipe.Next())
        {
            case null:
                _ended = true;
                break;
            case { Kind: Recipe.Literal } step:
                _literal = step.Bytes;
                break;
            case { Kind: Recipe.Content } step:
                Open(step);
                break;
            default:
                // What was lost is known from the beginning.
                break;
        }
    }

    /// <summary>A sparse file's segments follow one another: the file stays open.</summary>
    private void Open(RecipeStep step)
    {
        if (_file is null || !step.Bytes.AsSpan().SequenceEqual(_path) || _lost is not null)
        {
            _file?.Dispose();
            _file = _lost?.TryOpen(step.Bytes, _contents) ?? OpenBelow(step.Bytes);
            _path = step.Bytes;
        }

        _contents++;
        (_offset, _left) = (step.Offset, step.Length);
    }

    /// <summary>Files of a directory follow one another: the directory stays open.</summary>
    private SafeFileHandle OpenBelow(ReadOnlySpan<byte> path)
    {
        var parentPath = EntryPath.Parent(path);
        if (_parent is null || !parentPath.SequenceEqual(_parentPath))
        {
            var parent = _diff.Open(parentPath, OpenFlags.Path | OpenFlags.Directory, resolution: Resolution.Canonical);
            _parent?.Dispose();
            (_parent, _parentPath) = (parent, parentPath.ToArray());
        }

        return DirectoryEntry.Open(_parent, EntryPath.Name(path), OpenFlags.ReadOnly);
    }
}
