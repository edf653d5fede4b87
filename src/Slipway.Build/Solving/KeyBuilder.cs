using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>
/// The key of a step: a digest over all that what it makes depends on. Each part is hashed with its length, so that no two lists of parts have the same key.
/// </summary>
public sealed class KeyBuilder : IDisposable
{
    /// <summary>Changes whenever a step would do something else with the same parts.</summary>
    private const string Version = "1";

    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <param name="kind">Of the step.</param>
    public KeyBuilder(string kind) => Add(Version).Add(kind);

    public KeyBuilder Add(string? part) => part is null ? Add(-1L) : Add(Encoding.UTF8.GetBytes(part));

    public KeyBuilder Add(Digest part) => Add(part.ToString());

    public KeyBuilder Add(bool part) => Add(part ? 1 : 0);

    public KeyBuilder Add(IReadOnlyCollection<string> parts)
    {
        Add(parts.Count);
        foreach (string part in parts)
        {
            Add(part);
        }

        return this;
    }

    public KeyBuilder Add(ReadOnlySpan<byte> part)
    {
        Add((long)part.Length);
        _hash.AppendData(part);
        return this;
    }

    public KeyBuilder Add(long number)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        _hash.AppendData(bytes);
        return this;
    }

    public Digest Finish() => Digest.FromHash(_hash.GetHashAndReset());

    public void Dispose() => _hash.Dispose();
}
