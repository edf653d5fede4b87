using Microsoft.AspNetCore.Http;
using Microsoft.Win32.SafeHandles;
using Slipway.Registry.Server.Storage;
using Slipway.Registry.Server.Transport;

namespace Slipway.Registry.Server.Http;

/// <summary>Sends a part of a file as the body of an answer whose Content-Length is set.</summary>
internal static class FileAnswer
{
    /// <summary>Below it one read into the answer's own buffer costs less than a call more.</summary>
    private const int SmallFile = 16 * 1024;

    private const int CopySize = 128 * 1024;

    public static Task SendAsync(HttpContext context, BlobContent blob, ByteRange range, CancellationToken cancellationToken) =>
        !blob.IsComplete ? FollowAsync(context, blob, range, cancellationToken)
        : range.Length > SmallFile && context.Features.Get<IFileOutput>() is { } output && !context.Request.IsHttps
            ? SendByKernelAsync(context, output, blob.File, range, cancellationToken)
            : CopyAsync(context, blob.File, range, cancellationToken);

    /// <summary>Sends what is there while the rest still comes in.</summary>
    private static async Task FollowAsync(HttpContext context, BlobContent blob, ByteRange range, CancellationToken cancellationToken)
    {
        long end = range.Offset + range.Length;
        for (long position = range.Offset; position < end;)
        {
            long there = Math.Min(await blob.WaitAsync(position, cancellationToken), end);
            await CopyAsync(context, blob.File, new ByteRange(position, there - position), cancellationToken);
            position = there;
        }
    }

    /// <summary>The HTTP server writes the head and counts the body; the body's bytes go from file to socket in the kernel.</summary>
    private static async Task SendByKernelAsync(HttpContext context, IFileOutput output, SafeFileHandle file, ByteRange range, CancellationToken cancellationToken)
    {
        // The head must be in the writer before the file is attached to it.
        await context.Response.StartAsync(cancellationToken);
        output.Attach(file, range.Offset);
        try
        {
            for (long left = range.Length; left > 0;)
            {
                int count = (int)Math.Min(left, SocketOutput.MaximumAdvance);
                context.Response.BodyWriter.GetMemory(count);
                context.Response.BodyWriter.Advance(count);
                if ((await context.Response.BodyWriter.FlushAsync(cancellationToken)).IsCompleted)
                {
                    context.Abort();
                    return;
                }

                left -= count;
            }
        }
        finally
        {
            output.Detach();
        }
    }

    private static async Task CopyAsync(HttpContext context, SafeFileHandle file, ByteRange range, CancellationToken cancellationToken)
    {
        for (long done = 0; done < range.Length;)
        {
            int wanted = (int)Math.Min(CopySize, range.Length - done);
            Memory<byte> memory = context.Response.BodyWriter.GetMemory(wanted);
            int count = RandomAccess.Read(file, memory.Span[..Math.Min(wanted, memory.Length)], range.Offset + done);
            if (count == 0)
            {
                throw new IOException("a blob became shorter while it was sent");
            }

            context.Response.BodyWriter.Advance(count);
            done += count;
            if ((await context.Response.BodyWriter.FlushAsync(cancellationToken)).IsCompleted)
            {
                context.Abort();
                return;
            }
        }
    }
}
