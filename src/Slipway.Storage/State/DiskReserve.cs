using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Storage.State;

/// <summary>Whether a write may use the <see cref="DiskReserve"/>.</summary>
internal enum WritePurpose
{
    /// <summary>It adds something: on a full disk it fails.</summary>
    Ordinary,

    /// <summary>It removes something or tells that something ended, which must be possible on a full disk too.</summary>
    GivesRoom,
}

/// <summary>
/// Room kept on the disk for what gives room. Removing a row first takes pages of the database's log, so that on a full disk nothing could be
/// removed any more, as little as it needs. Used by the thread that writes the database.
/// </summary>
internal sealed class DiskReserve : IDisposable
{
    /// <summary>Name of the file in the data root.</summary>
    public const string Name = "reserve";

    /// <summary>A removal writes some dozens of pages of 4 KiB.</summary>
    public const int Bytes = 1 << 20;

    /// <summary>It is made again only where the disk is far from full.</summary>
    private const long Plenty = 16L * Bytes;

    private const uint Mode = 0x180; // 0600

    private readonly SafeFileHandle _root;
    private bool _kept;

    public DiskReserve(HostPath root)
    {
        _root = root.Open(OpenFlags.Path | OpenFlags.Directory);
        _kept = FileStatus.TryOf(_root, Name) is { Size: Bytes };
        Keep();
    }

    /// <summary>Makes the reserve where it is missing and the disk has room for it.</summary>
    public void Keep()
    {
        if (_kept)
        {
            return;
        }

        try
        {
            if (Descriptors.FreeSpace(_root) < Plenty)
            {
                return;
            }

            TreeRemoval.Remove(_root, Name);
            using var file = DirectoryEntry.CreateFile(_root, Name, Mode);
            Span<byte> zeros = stackalloc byte[4096];
            zeros.Clear();
            for (var written = 0; written < Bytes; written += zeros.Length)
            {
                Descriptors.Write(file, zeros);
            }

            _kept = true;
        }
        catch (KernelException error) when (error.Errno is Errno.ENOSPC or Errno.EDQUOT)
        {
            // Filled by somebody else meanwhile: tried again after a later write.
            TreeRemoval.Remove(_root, Name);
        }
    }

    /// <summary>Gives the reserve up. False where it was used already.</summary>
    public bool TryRelease()
    {
        if (!_kept)
        {
            return false;
        }

        TreeRemoval.Remove(_root, Name);
        _kept = false;
        return true;
    }

    public void Dispose() => _root.Dispose();
}
