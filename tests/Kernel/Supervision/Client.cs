using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Sockets;
using Slipway.Runtime.Supervision;

namespace Slipway.Tests.Kernel.Supervision;

/// <summary>The client's end of an attachment.</summary>
internal sealed class Client : IDisposable
{
    private readonly Socket _socket;

    private Client(SafeFileHandle end)
    {
        _socket = new Socket(new SafeSocketHandle(end.DangerousGetHandle(), ownsHandle: true));
        end.SetHandleAsInvalid();
    }

    public static (Client Client, Attachment Attachment) Create(bool stdin, bool stdout, bool stderr)
    {
        (SafeFileHandle near, SafeFileHandle far) = StreamSocket.CreatePair();
        return (new Client(near), new Attachment(far, stdin, stdout, stderr));
    }

    public async Task SendAsync(string text) => await SendAsync(Encoding.UTF8.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await _socket.SendAsync(bytes)..];
        }
    }

    public void EndInput() => _socket.Shutdown(SocketShutdown.Send);

    public async Task<int> ReceiveAsync(Memory<byte> buffer) => await _socket.ReceiveAsync(buffer);

    /// <summary>Everything up to the end.</summary>
    public async Task<byte[]> ReadToEndAsync()
    {
        using var all = new MemoryStream();
        byte[] buffer = new byte[64 * 1024];
        for (int count; (count = await _socket.ReceiveAsync(buffer)) > 0;)
        {
            all.Write(buffer, 0, count);
        }

        return all.ToArray();
    }

    /// <summary>All output, by stream.</summary>
    public async Task<(string Stdout, string Stderr)> ReadFramesAsync()
    {
        StringBuilder[] streams = [new(), new(), new()];
        ReadOnlyMemory<byte> rest = await ReadToEndAsync();
        while (!rest.IsEmpty)
        {
            int length = BinaryPrimitives.ReadInt32BigEndian(rest.Span[4..]);
            streams[rest.Span[0]].Append(Encoding.UTF8.GetString(rest.Span.Slice(8, length)));
            rest = rest[(8 + length)..];
        }

        return (streams[1].ToString(), streams[2].ToString());
    }

    public void Dispose() => _socket.Dispose();
}
