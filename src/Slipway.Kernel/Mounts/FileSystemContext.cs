using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Kernel.Mounts;

/// <summary>A file system being configured (fsopen(2), fsconfig(2)). Errors carry what the kernel says about them.</summary>
public sealed unsafe class FileSystemContext : IDisposable
{
    // What fsconfig takes: a string of at most 255 bytes (fs/fsopen.c, strndup_user(_value, 256)).
    internal const int MaximumString = 255;

    private readonly string _type;
    private readonly SafeFileHandle _context;

    public FileSystemContext(string type)
    {
        _type = type;
        byte* name = stackalloc byte[64];
        Encode(type, name, 64);
        nint descriptor = NativeMounts.FsOpen(NativeMounts.SYS_fsopen, name, NativeMounts.FSOPEN_CLOEXEC);
        if (descriptor < 0)
        {
            throw new KernelException($"fsopen {type}", Marshal.GetLastPInvokeError());
        }

        _context = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>A detached mount of a new file system.</summary>
    /// <param name="options">As mount(8) takes them: <c>key</c> or <c>key=value</c>.</param>
    public static SafeFileHandle Mount(string type, MountAttributes attributes, params ReadOnlySpan<string> options)
    {
        using var context = new FileSystemContext(type);
        foreach (string option in options)
        {
            context.Set(option);
        }

        return context.Mount(attributes);
    }

    public void Dispose() => _context.Dispose();

    /// <summary>Sets an option: <c>key</c> or <c>key=value</c>.</summary>
    public void Set(string option)
    {
        int equals = option.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0)
        {
            Configure(NativeMounts.FSCONFIG_SET_FLAG, option, null, 0);
        }
        else
        {
            Configure(NativeMounts.FSCONFIG_SET_STRING, option[..equals], option[(equals + 1)..], 0);
        }
    }

    public void Set(string key, string value) => Configure(NativeMounts.FSCONFIG_SET_STRING, key, value, 0);

    public void Set(string key, SafeFileHandle value)
    {
        bool added = false;
        try
        {
            value.DangerousAddRef(ref added);
            Configure(NativeMounts.FSCONFIG_SET_FD, key, null, value.DangerousGetHandle());
        }
        finally
        {
            if (added)
            {
                value.DangerousRelease();
            }
        }
    }

    /// <summary>Creates the file system and a detached mount of it.</summary>
    public SafeFileHandle Mount(MountAttributes attributes)
    {
        Configure(NativeMounts.FSCONFIG_CMD_CREATE, null, null, 0);
        nint descriptor = NativeMounts.FsMount(NativeMounts.SYS_fsmount, _context, NativeMounts.FSMOUNT_CLOEXEC, (nint)attributes);
        if (descriptor < 0)
        {
            throw Failure("fsmount", Marshal.GetLastPInvokeError());
        }

        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    [SkipLocalsInit]
    private void Configure(int command, string? key, string? value, nint auxiliary)
    {
        byte* keyBytes = stackalloc byte[MaximumString + 1];
        byte* valueBytes = stackalloc byte[MaximumString + 1];
        nint result = NativeMounts.FsConfig(
            NativeMounts.SYS_fsconfig,
            _context,
            command,
            key is null ? null : Encode(key, keyBytes, MaximumString + 1),
            value is null ? null : Encode(value, valueBytes, MaximumString + 1),
            auxiliary);
        if (result < 0)
        {
            throw Failure(key ?? "create", Marshal.GetLastPInvokeError());
        }
    }

    private static byte* Encode(string text, byte* buffer, int size)
    {
        int length = Encoding.UTF8.GetByteCount(text);
        if (length >= size)
        {
            throw new KernelException($"mount option of {length} bytes", Errno.ENAMETOOLONG);
        }

        Encoding.UTF8.GetBytes(text, new Span<byte>(buffer, size));
        buffer[length] = 0;
        return buffer;
    }

    private KernelException Failure(string step, int errno) => new($"mount {_type}, {step}{Messages()}", errno);

    /// <summary>The kernel's messages, each read(2) from the context: <c>e overlay: …</c> (Documentation/filesystems/mount_api.rst).</summary>
    private string Messages()
    {
        var text = new StringBuilder();
        byte* buffer = stackalloc byte[512];
        for (nint length = NativeMounts.Read(_context, buffer, 512); length > 0; length = NativeMounts.Read(_context, buffer, 512))
        {
            string message = new PathName(new ReadOnlySpan<byte>(buffer, (int)length).TrimEnd((byte)'\n')).ToString();
            text.Append(text.Length == 0 ? " (" : "; ").Append(message.Length > 2 && message[1] == ' ' ? message[2..] : message);
        }

        return text.Length == 0 ? "" : text.Append(')').ToString();
    }
}
