using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Slipway.Engine.Exec;

/// <summary>
/// Reads what a probe writes, so that it is never held back, and keeps the beginning: 4096 bytes, as Docker does.
/// </summary>
internal sealed class ProbeOutput : IAsyncDisposable
{
    internal const int Limit = 4096;
    internal const string Ellipsis = "...";

    private const int HeaderBytes = 8;

    /// <summary>A process that the probe left behind may hold its output open.</summary>
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(1);

    private readonly MemoryStream _kept = new();
    private readonly NetworkStream _frames;
    private readonly Task _reading;
    private bool _truncated;

    /// <param name="frames">Docker's multiplexed frames; owned.</param>
    public ProbeOutput(Socket frames)
    {
        _frames = new NetworkStream(frames, ownsSocket: true);
        _reading = ReadAsync();
    }

    /// <summary>What was written, for a probe that has ended. Bytes that are no UTF-8 are replaced.</summary>
    public async Task<string> ReadToEndAsync(TimeProvider time)
    {
        try
        {
            await _reading.WaitAsync(EndTimeout, time);
        }
        catch (TimeoutException)
        {
            await DisposeAsync();
        }

        string text = Encoding.UTF8.GetString(_kept.GetBuffer(), 0, (int)_kept.Length);
        return _truncated ? text + Ellipsis : text;
    }

    public async ValueTask DisposeAsync()
    {
        await _frames.DisposeAsync();
        await _reading;
    }

    private async Task ReadAsync()
    {
        byte[] header = new byte[HeaderBytes];
        byte[] buffer = new byte[Limit];
        try
        {
            while (await _frames.ReadAtLeastAsync(header, HeaderBytes, throwOnEndOfStream: false) == HeaderBytes)
            {
                for (uint left = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(4)); left > 0;)
                {
                    int count = await _frames.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, Limit)));
                    if (count == 0)
                    {
                        return;
                    }

                    int kept = Math.Min(count, Limit - (int)_kept.Length);
                    _kept.Write(buffer, 0, kept);
                    _truncated |= kept < count;
                    left -= (uint)count;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
            // The probe was given up.
        }
    }
}
