using System.Buffers;

namespace Slipway.Registry.Server.Transport;

/// <summary>
/// The array pool that all connections share, as the HTTP server wants it: it asks for "some" memory by asking for none, which the shared
/// pool takes at its word.
/// </summary>
internal sealed class BlockMemoryPool : MemoryPool<byte>
{
    private const int LeastBlock = 4096;

    public static BlockMemoryPool Instance { get; } = new();

    public override int MaxBufferSize => Shared.MaxBufferSize;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1) => Shared.Rent(Math.Max(minBufferSize, LeastBlock));

    protected override void Dispose(bool disposing)
    {
        // Nothing is held here.
    }
}
