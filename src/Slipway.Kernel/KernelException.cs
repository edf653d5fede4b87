using System.Globalization;
using System.Runtime.InteropServices;

namespace Slipway.Kernel;

/// <summary>A system call that failed: the operation with its operands, and errno. Reads <c>mount overlay on "/x": ENOENT (No such file or directory)</c>.</summary>
public sealed class KernelException(string operation, int errno)
    : IOException(string.Create(CultureInfo.InvariantCulture, $"{operation}: {Slipway.Kernel.Errno.Name(errno)} ({Marshal.GetPInvokeErrorMessage(errno)})"))
{
    /// <summary>The operation and its operands, without the error.</summary>
    public string Operation { get; } = operation;

    /// <summary>The error number, as in errno(3); positive.</summary>
    public int Errno { get; } = errno;
}
