using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>Waiting for a word of shared memory to change (futex(2)).</summary>
internal static unsafe class Futex
{
    private const int FUTEX_WAIT = 0;
    private const int FUTEX_WAKE = 1;

    /// <summary>Sleeps while the word holds <paramref name="value"/>. False after <paramref name="limit"/>; true may come without a change.</summary>
    public static bool Wait(uint* word, uint value, TimeSpan limit)
    {
        var timeout = new ProcessNative.TimeSpecification { Seconds = limit.Ticks / TimeSpan.TicksPerSecond, Nanoseconds = limit.Ticks % TimeSpan.TicksPerSecond * 100 };
        return ProcessNative.futex(word, FUTEX_WAIT, value, &timeout) == 0 || Marshal.GetLastPInvokeError() != Errno.ETIMEDOUT;
    }

    /// <summary>Wakes one who waits for the word.</summary>
    public static void Wake(uint* word) => _ = ProcessNative.futex(word, FUTEX_WAKE, 1, null);
}
