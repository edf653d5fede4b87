using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>Attributes of the calling process (prctl(2)).</summary>
public static class ProcessAttributes
{
    /// <summary>PR_SET_DUMPABLE: whether others of the same user may ptrace it and read its /proc files. Root may always.</summary>
    public static void SetDumpable(bool value)
    {
        if (ProcessNative.prctl(ProcessNative.PR_SET_DUMPABLE, value ? 1u : 0u, 0, 0, 0) != 0)
        {
            throw new KernelException("prctl PR_SET_DUMPABLE", Marshal.GetLastPInvokeError());
        }
    }
}
