using Slipway.Engine;

namespace Slipway.Server.Streams;

/// <summary>
/// Looks for the key sequence that detaches a terminal in what a client types. Keys that could be the beginning of the
/// sequence are held back until it is known whether they are.
/// </summary>
internal sealed class DetachKeys(byte[] sequence)
{
    private static readonly byte[] s_default = [Control('p'), Control('q')];

    private int _matched;

    /// <summary>The whole sequence has come: nothing more is for the process.</summary>
    public bool Found { get; private set; }

    /// <param name="text">Keys by commas: single characters, <c>ctrl-a</c> to <c>ctrl-z</c>, <c>ctrl-@ [ \ ] ^ _</c>, or <c>DEL</c>. Null or empty: ctrl-p, ctrl-q.</param>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static DetachKeys Parse(string? text) => new(string.IsNullOrEmpty(text) ? s_default : [.. text.Split(',').Select(key => ParseKey(key, text))]);

    /// <summary>Passes keys on to <paramref name="output"/>, which needs room for all of them and what was held back.</summary>
    /// <returns>Bytes written.</returns>
    public int Filter(ReadOnlySpan<byte> typed, Span<byte> output)
    {
        int written = 0;
        foreach (byte key in typed)
        {
            if (Found)
            {
                break;
            }

            while (_matched > 0 && key != sequence[_matched])
            {
                written += Release(output[written..]);
            }

            if (key != sequence[_matched])
            {
                output[written++] = key;
            }
            else if (++_matched == sequence.Length)
            {
                Found = true;
            }
        }

        return written;
    }

    /// <summary>The most that <see cref="Filter"/> writes beyond what it is given.</summary>
    public int MaxHeldBack => sequence.Length;

    /// <summary>Gives up on the keys held back, but for the longest tail of them that begins the sequence anew (<c>a a b</c> for <c>a,b</c>).</summary>
    private int Release(Span<byte> output)
    {
        int keep = _matched - 1;
        while (!sequence.AsSpan(_matched - keep, keep).SequenceEqual(sequence.AsSpan(0, keep)))
        {
            keep--;
        }

        int released = _matched - keep;
        sequence.AsSpan(0, released).CopyTo(output);
        _matched = keep;
        return released;
    }

    private static byte ParseKey(string key, string all) => key switch
    {
        [var single] when char.IsAscii(single) => (byte)single,
        "DEL" => 127,
        ['c', 't', 'r', 'l', '-', var control] when char.IsAsciiLetterLower(control) || control is '@' or '[' or '\\' or ']' or '^' or '_' => Control(control),
        _ => throw new EngineException(ErrorKind.InvalidParameter, $"Invalid detach keys ({all}) provided: Unknown character: '{key}'"),
    };

    /// <summary>The character a terminal sends for a key with Ctrl (ASCII: the low five bits).</summary>
    private static byte Control(char key) => (byte)(key & 0x1f);
}
