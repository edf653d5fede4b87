using System.Text;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Streams;

namespace Slipway.Engine.Exec;

/// <summary>The session of an exec that could not be started: its only output is the reason; what is written to it goes nowhere.</summary>
internal static class FailedSession
{
    public static StreamSession Create(string message, bool terminal)
    {
        byte[] text = Encoding.UTF8.GetBytes(message + "\r\n");
        return new StreamSession(
            new PrefixedStream(Stream.Null, Output(terminal ? text : StreamFrame.Encode(stderr: false, text))), terminal, () => ValueTask.CompletedTask);
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> Output(ReadOnlyMemory<byte> bytes)
    {
        yield return bytes;
        await Task.CompletedTask;
    }
}
