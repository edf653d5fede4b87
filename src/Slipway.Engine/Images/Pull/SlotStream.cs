using Slipway.Engine.Images.Registries;

namespace Slipway.Engine.Images.Pull;

/// <summary>A blob that is being downloaded; gives its slot back when it is disposed.</summary>
internal sealed class SlotStream(Stream inner, SemaphoreSlim slots) : TransferStream(inner)
{
    protected override void End() => slots.Release();
}
