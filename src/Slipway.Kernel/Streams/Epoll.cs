using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Streams;

/// <summary>EPOLL* (epoll_ctl(2)).</summary>
[Flags]
public enum EpollEvents : uint
{
    None = 0,
    In = 1,
    Out = 4,
    Error = 8,
    HangUp = 0x10,
    PeerHangUp = 0x2000,

    /// <summary>Reported once, then not until <see cref="Epoll.Change"/>.</summary>
    OneShot = 1u << 30,
    EdgeTriggered = 1u << 31,
}

/// <param name="Token">As given to <see cref="Epoll.Add"/>.</param>
public readonly record struct ReadyDescriptor(ulong Token, EpollEvents Events);

/// <summary>Readiness of many descriptors (epoll(7)).</summary>
public sealed unsafe class Epoll : IDisposable
{
    // struct epoll_event is packed on x86-64 only (linux/eventpoll.h, EPOLL_PACKED).
    private static readonly int s_stride = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    private readonly SafeFileHandle _epoll;
    private readonly byte[] _events;

    /// <param name="batch">Events taken by one <see cref="Wait"/> at most.</param>
    public Epoll(int batch)
    {
        int descriptor = StreamNative.epoll_create1(StreamNative.EPOLL_CLOEXEC);
        if (descriptor < 0)
        {
            throw new KernelException("epoll_create1", Marshal.GetLastPInvokeError());
        }

        _epoll = new SafeFileHandle(descriptor, ownsHandle: true);
        _events = new byte[batch * s_stride];
    }

    public void Add(SafeHandle descriptor, EpollEvents events, ulong token) => Control(StreamNative.EPOLL_CTL_ADD, "EPOLL_CTL_ADD", descriptor, events, token);

    /// <summary>Other events for one that was added; what is ready already is reported.</summary>
    public void Change(SafeHandle descriptor, EpollEvents events, ulong token) => Control(StreamNative.EPOLL_CTL_MOD, "EPOLL_CTL_MOD", descriptor, events, token);

    /// <summary>
    /// Must be called before the descriptor is closed: a child between clone and execve holds a duplicate, and epoll goes on reporting
    /// for as long as any exists (epoll(7), "Will closing a file descriptor cause it to be removed").
    /// </summary>
    public void Remove(SafeHandle descriptor)
    {
        byte* unused = stackalloc byte[16];
        if (StreamNative.epoll_ctl(_epoll, StreamNative.EPOLL_CTL_DEL, descriptor, unused) != 0)
        {
            throw new KernelException("epoll_ctl EPOLL_CTL_DEL", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Waits for events and appends them to <paramref name="ready"/>, which is cleared first.</summary>
    /// <param name="timeoutMilliseconds">-1: without limit.</param>
    public void Wait(List<ReadyDescriptor> ready, int timeoutMilliseconds)
    {
        ArgumentNullException.ThrowIfNull(ready);
        ready.Clear();
        int count;
        fixed (byte* events = _events)
        {
            count = StreamNative.epoll_wait(_epoll, events, _events.Length / s_stride, timeoutMilliseconds);
        }

        if (count < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != Errno.EINTR)
            {
                throw new KernelException("epoll_wait", errno);
            }
        }

        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> entry = _events.AsSpan(i * s_stride, s_stride);
            ready.Add(new ReadyDescriptor(BinaryPrimitives.ReadUInt64LittleEndian(entry[(s_stride - 8)..]), (EpollEvents)BinaryPrimitives.ReadUInt32LittleEndian(entry)));
        }
    }

    public void Dispose() => _epoll.Dispose();

    private void Control(int operation, string name, SafeHandle descriptor, EpollEvents events, ulong token)
    {
        byte* epollEvent = stackalloc byte[16];
        var span = new Span<byte>(epollEvent, 16);
        BinaryPrimitives.WriteUInt32LittleEndian(span, (uint)events);
        BinaryPrimitives.WriteUInt64LittleEndian(span[(s_stride - 8)..], token);
        if (StreamNative.epoll_ctl(_epoll, operation, descriptor, epollEvent) != 0)
        {
            throw new KernelException($"epoll_ctl {name}", Marshal.GetLastPInvokeError());
        }
    }
}
