using System.Runtime.InteropServices;

namespace Slipway.Kernel.Terminal;

/// <summary>
/// The caller's own terminal in raw mode (termios(3), cfmakeraw): every key goes through as it is. Disposing restores
/// what was set before.
/// </summary>
public sealed class TerminalMode : IDisposable
{
    private readonly int _descriptor;
    private readonly Termios _saved;
    private int _restored;

    private TerminalMode(int descriptor, in Termios saved)
    {
        _descriptor = descriptor;
        _saved = saved;
    }

    /// <summary>Switches to raw mode, or returns null where <paramref name="descriptor"/> is no terminal.</summary>
    public static TerminalMode? EnterRaw(int descriptor)
    {
        if (TerminalCalls.GetAttributes(descriptor, TerminalCalls.TCGETS, out Termios current) != 0)
        {
            return null;
        }

        Termios raw = current;
        raw.InputFlags &= ~(TerminalCalls.IGNBRK | TerminalCalls.BRKINT | TerminalCalls.PARMRK | TerminalCalls.ISTRIP | TerminalCalls.INLCR
            | TerminalCalls.IGNCR | TerminalCalls.ICRNL | TerminalCalls.IXON);
        raw.OutputFlags &= ~TerminalCalls.OPOST;
        raw.LocalFlags &= ~(TerminalCalls.ECHO | TerminalCalls.ECHONL | TerminalCalls.ICANON | TerminalCalls.ISIG | TerminalCalls.IEXTEN);
        raw.ControlFlags = (raw.ControlFlags & ~(TerminalCalls.CSIZE | TerminalCalls.PARENB)) | TerminalCalls.CS8;
        raw.SetMinimumRead();
        if (TerminalCalls.SetAttributes(descriptor, TerminalCalls.TCSETS, in raw) != 0)
        {
            throw new KernelException("set the terminal to raw mode", Marshal.GetLastPInvokeError());
        }

        return new TerminalMode(descriptor, in current);
    }

    /// <summary>Rows and columns, or null where <paramref name="descriptor"/> is no terminal.</summary>
    public static (int Rows, int Columns)? Size(int descriptor) =>
        TerminalCalls.GetWindowSize(descriptor, TerminalCalls.TIOCGWINSZ, out WindowSize size) == 0 && size.Rows > 0 ? (size.Rows, size.Columns) : null;

    public static bool IsTerminal(int descriptor) => TerminalCalls.GetAttributes(descriptor, TerminalCalls.TCGETS, out _) == 0;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _restored, 1) == 0)
        {
            // A terminal that has gone away needs no restoring.
            _ = TerminalCalls.SetAttributes(_descriptor, TerminalCalls.TCSETS, in _saved);
        }
    }
}

/// <summary>struct termios of the kernel (asm-generic/termbits.h).</summary>
internal unsafe struct Termios
{
    private const int VTIME = 5;
    private const int VMIN = 6;

    public uint InputFlags;
    public uint OutputFlags;
    public uint ControlFlags;
    public uint LocalFlags;
    private byte _line;
    private fixed byte _controlCharacters[19];

    /// <summary>A read returns with one byte and without a time limit.</summary>
    public void SetMinimumRead()
    {
        _controlCharacters[VMIN] = 1;
        _controlCharacters[VTIME] = 0;
    }
}

/// <summary>struct winsize.</summary>
internal struct WindowSize
{
    public ushort Rows;
    public ushort Columns;
    public ushort XPixels;
    public ushort YPixels;
}

internal static partial class TerminalCalls
{
    public const nuint TCGETS = 0x5401;
    public const nuint TCSETS = 0x5402;
    public const nuint TIOCGWINSZ = 0x5413;
    public const uint IGNBRK = 0x1;
    public const uint BRKINT = 0x2;
    public const uint PARMRK = 0x8;
    public const uint ISTRIP = 0x20;
    public const uint INLCR = 0x40;
    public const uint IGNCR = 0x80;
    public const uint ICRNL = 0x100;
    public const uint IXON = 0x400;
    public const uint OPOST = 0x1;
    public const uint ISIG = 0x1;
    public const uint ICANON = 0x2;
    public const uint ECHO = 0x8;
    public const uint ECHONL = 0x40;
    public const uint IEXTEN = 0x8000;
    public const uint CSIZE = 0x30;
    public const uint CS8 = 0x30;
    public const uint PARENB = 0x100;

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int GetAttributes(int descriptor, nuint request, out Termios termios);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int SetAttributes(int descriptor, nuint request, in Termios termios);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int GetWindowSize(int descriptor, nuint request, out WindowSize size);
}
