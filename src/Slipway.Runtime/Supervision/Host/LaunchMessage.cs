using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Process;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>A launch as the engine asked for it. Owns its descriptors until they are taken.</summary>
internal sealed class LaunchMessage : IDisposable
{
    private readonly List<SafeFileHandle> _descriptors;

    private LaunchMessage(List<SafeFileHandle> descriptors)
    {
        _descriptors = descriptors;
    }

    public required string Id { get; init; }

    public required string? ContainerId { get; init; }

    public required LaunchFlags Flags { get; init; }

    public required LogTarget? Log { get; init; }

    public required PlanDocument Plan { get; init; }

    /// <summary>The terminal's master, or null.</summary>
    public required SafeFileHandle? Terminal { get; init; }

    public required IReadOnlyList<(SafeFileHandle Socket, AttachmentFlags Flags)> Attachments { get; init; }

    /// <summary>By slot of the plan.</summary>
    public required IReadOnlyList<SafeFileHandle> Slots { get; init; }

    /// <param name="message">After its header.</param>
    /// <param name="descriptors">Owned from here on, whatever comes.</param>
    /// <exception cref="InvalidDataException">The message is malformed.</exception>
    /// <exception cref="KernelException">The plan cannot be read.</exception>
    public static LaunchMessage Read(ref MessageFields message, List<SafeFileHandle> descriptors)
    {
        try
        {
            string id = message.Text();
            string? containerId = message.OptionalText();
            var flags = (LaunchFlags)message.Byte();
            string path = message.Text();
            long maxSize = message.Int64();
            int maxFiles = message.Int32();
            string attributes = (flags & LaunchFlags.LogAttributes) != 0 ? message.Text() : "";
            int? dropBeyond = (flags & LaunchFlags.LogDrops) != 0 ? message.Int32() : null;
            ushort attachments = message.UInt16();
            int terminals = (flags & LaunchFlags.Terminal) != 0 ? 1 : 0;
            int fixedDescriptors = 1 + terminals + attachments;
            if (descriptors.Count < fixedDescriptors)
            {
                throw new InvalidDataException("a launch without its descriptors");
            }

            var clients = new (SafeFileHandle, AttachmentFlags)[attachments];
            for (int i = 0; i < attachments; i++)
            {
                clients[i] = (AttachedClient.RequireSocket(descriptors[1 + terminals + i]), (AttachmentFlags)message.Byte());
            }

            return new LaunchMessage(descriptors)
            {
                Id = id,
                ContainerId = containerId,
                Flags = flags,
                Log = (flags & LaunchFlags.Log) == 0 ? null : new LogTarget(path, maxSize, maxFiles)
                {
                    Attributes = attributes,
                    Compress = (flags & LaunchFlags.LogCompress) != 0,
                    DropBeyond = dropBeyond,
                },
                Plan = ReadPlan(descriptors[0]),
                Terminal = terminals == 1 ? descriptors[1] : null,
                Attachments = clients,
                Slots = descriptors.GetRange(fixedDescriptors, descriptors.Count - fixedDescriptors),
            };
        }
        catch
        {
            descriptors.ForEach(descriptor => descriptor.Dispose());
            throw;
        }
    }

    /// <summary>Closes what only the launch needed. Terminal and attachments live on with the process.</summary>
    public void CloseSlots()
    {
        _descriptors[0].Dispose();
        foreach (SafeFileHandle slot in Slots)
        {
            slot.Dispose();
        }
    }

    /// <summary>Closes everything.</summary>
    public void Dispose() => _descriptors.ForEach(descriptor => descriptor.Dispose());

    private static PlanDocument ReadPlan(SafeFileHandle file)
    {
        long length = RandomAccess.GetLength(file);
        if (length is 0 or > 256 * 1024 * 1024)
        {
            throw new InvalidDataException("a launch plan of an impossible length");
        }

        byte[] bytes = new byte[length];
        int read = RandomAccess.Read(file, bytes, 0);
        return read == length ? PlanDocument.Parse(bytes) : throw new InvalidDataException("a launch plan that shrank while it was read");
    }
}
