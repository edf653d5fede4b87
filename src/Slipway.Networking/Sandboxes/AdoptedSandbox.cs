using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// A sandbox of a network namespace that somebody else made: one that belongs to a container's user namespace can only be made by a process inside
/// that. It has no link waiting; the driver makes one when it attaches it.
/// </summary>
public static class AdoptedSandbox
{
    /// <summary>Sets the namespace up as the drivers do theirs.</summary>
    /// <param name="networkNamespace">Consumed.</param>
    public static async Task<Sandbox> AdoptAsync(SafeFileHandle networkNamespace, CancellationToken cancellationToken)
    {
        NetworkNamespace adopted = NetworkNamespace.FromDescriptor(networkNamespace);
        try
        {
            NamespaceThread thread = new("slipway-adopt", adopted);
            await using (thread.ConfigureAwait(false))
            {
                return await thread.RunAsync(() => SandboxFactory.SetUp(adopted), cancellationToken).ConfigureAwait(false);
            }
        }
        catch
        {
            adopted.Dispose();
            throw;
        }
    }
}
