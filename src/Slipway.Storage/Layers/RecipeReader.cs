using Slipway.Kernel.Compression;

namespace Slipway.Storage.Layers;

/// <summary>A step of a <see cref="Recipe"/>. <see cref="Bytes"/>: a literal, or a path. <see cref="Number"/>: the number of what was lost.</summary>
internal readonly record struct RecipeStep(byte Kind, byte[] Bytes, long Offset, long Length, ulong Number);

/// <summary>Reads the steps of a recipe. It is the store's own file; one that is damaged is an error of the host.</summary>
internal sealed class RecipeReader(Stream file) : IDisposable
{
    private readonly BufferedStream _steps = new(Decompression.Open(file, limits: null), Recipe.MaxLiteral);

    /// <summary>The next step; null at the end.</summary>
    public RecipeStep? Next()
    {
        switch (_steps.ReadByte())
        {
            case Recipe.End:
                return null;
            case Recipe.Literal:
                return new RecipeStep(Recipe.Literal, ReadBytes(Recipe.MaxLiteral), 0, 0, 0);
            case Recipe.Content:
                return new RecipeStep(Recipe.Content, ReadBytes(MaxPath), (long)ReadNumber(), (long)ReadNumber(), 0);
            case Recipe.Lost:
                return new RecipeStep(Recipe.Lost, ReadBytes(MaxPath), 0, 0, ReadNumber());
            default:
                throw new InvalidDataException("the recipe of a layer is damaged");
        }
    }

    public void Dispose() => _steps.Dispose();

    private const int MaxPath = 1 << 20;

    private byte[] ReadBytes(int maximum)
    {
        var length = ReadNumber();
        if (length > (ulong)maximum)
        {
            throw new InvalidDataException("the recipe of a layer is damaged");
        }

        var bytes = new byte[length];
        _steps.ReadExactly(bytes);
        return bytes;
    }

    private ulong ReadNumber()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = _steps.ReadByte();
            if (next < 0)
            {
                break;
            }

            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new InvalidDataException("the recipe of a layer is damaged");
    }
}
