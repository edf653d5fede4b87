namespace Slipway.Storage.Layers;

/// <summary>
/// The recipe of a layer: how the exact tar is made again from the layer's files. A sequence of steps, compressed by zstd, in the
/// file <c>recipe</c> beside <c>diff</c>. Numbers are unsigned LEB128.
/// <code>
/// End                                     the tar is complete
/// Literal  length bytes                   headers, padding, and whatever else lies between the contents of files
/// Content  length path offset length      so many bytes of a file of the layer, from an offset on
/// Lost     length path number             the file or directory of this name was replaced by a later entry: from here on the contents
///                                         named before are found in lost/number
/// </code>
/// </summary>
internal static class Recipe
{
    public const string FileName = "recipe";
    public const string LostName = "lost";

    /// <summary>Bytes that a step's literal has at most; longer ones take several steps.</summary>
    public const int MaxLiteral = 64 << 10;

    /// <summary>Little is random in it: level 1 makes it small enough.</summary>
    public const int CompressionLevel = 1;

    public const byte End = 0;
    public const byte Literal = 1;
    public const byte Content = 2;
    public const byte Lost = 3;
}
