using System.Buffers;

namespace Slipway.Http;

/// <summary>
/// Buffers of connections, from the array pool that all share and that gives memory back. The HTTP server asks for "some" memory by
/// asking for none, which the shared pool takes at its word; here a block has a least size.
/// </summary>
public sealed class BlockMemoryPool : MemoryPool<byte>
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
