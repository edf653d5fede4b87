using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Runtime.Logs;

/// <summary>An open file of a log, and which one it is under whatever name.</summary>
/// <param name="Handle">Of its text, unpacked where it was compressed.</param>
internal sealed record LogFile(SafeFileHandle Handle, LogFileIdentity Identity) : IDisposable
{
    public void Dispose() => Handle.Dispose();
}

/// <summary>
/// Which file of a log: that which was written to under this number. A compressed one remembers it (user.slipway.log), so that one who reads the plain
/// file while it is compressed finds on to the next.
/// </summary>
internal readonly record struct LogFileIdentity(DeviceNumber Device, ulong Inode)
{
    private const string Attribute = "user.slipway.log";
    private const int Length = 16;

    public static LogFileIdentity Of(in FileStatus status) => new(status.Device, status.Inode);

    /// <summary>What a compressed file remembers; null where it does not.</summary>
    public static LogFileIdentity? Recorded(SafeFileHandle directory, string name)
    {
        try
        {
            return Parse(ExtendedAttributes.Get(directory, name, Attribute));
        }
        catch (KernelException exception) when (exception.Errno is Errno.ENOENT or Errno.EOPNOTSUPP)
        {
            return null;
        }
    }

    /// <exception cref="KernelException">The file system has no such attributes.</exception>
    public void Record(SafeFileHandle directory, string name)
    {
        byte[] value = new byte[Length];
        BinaryPrimitives.WriteUInt32LittleEndian(value, Device.Major);
        BinaryPrimitives.WriteUInt32LittleEndian(value.AsSpan(4), Device.Minor);
        BinaryPrimitives.WriteUInt64LittleEndian(value.AsSpan(8), Inode);
        ExtendedAttributes.Set(directory, name, Attribute, value);
    }

    private static LogFileIdentity? Parse(byte[]? value) => value is not { Length: Length } ? null
        : new LogFileIdentity(
            new DeviceNumber(BinaryPrimitives.ReadUInt32LittleEndian(value), BinaryPrimitives.ReadUInt32LittleEndian(value.AsSpan(4))),
            BinaryPrimitives.ReadUInt64LittleEndian(value.AsSpan(8)));
}
