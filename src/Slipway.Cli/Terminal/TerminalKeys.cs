using Microsoft.Win32.SafeHandles;

namespace Slipway.Cli.Terminal;

/// <summary>Standard input as it comes. The console's own stream edits lines at a terminal, and shows what is typed by itself.</summary>
internal static class TerminalKeys
{
    private const int StandardInput = 0;

    public static FileStream Open() => new(new SafeFileHandle(StandardInput, ownsHandle: false), FileAccess.Read, bufferSize: 0);
}
