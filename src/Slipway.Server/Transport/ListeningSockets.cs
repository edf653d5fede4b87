using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Slipway.Engine;
using Slipway.Kernel.Files;
using Slipway.Server.Authorization;

namespace Slipway.Server.Transport;

/// <summary>
/// The sockets the server listens on. A unix socket has mode 0660 and belongs to the first of the groups that exists, before anyone
/// can connect. All are close-on-exec (.NET makes them so; those of systemd are made so here).
/// </summary>
internal sealed class ListeningSockets : IDisposable
{
    /// <summary>Connections the kernel holds until they are accepted; it caps this at net.core.somaxconn.</summary>
    private const int Backlog = 4096;

    /// <summary>The first descriptor systemd passes (sd_listen_fds(3), SD_LISTEN_FDS_START).</summary>
    private const int FirstActivatedDescriptor = 3;

    private const UnixFileMode SocketMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    private readonly Dictionary<EndPoint, Socket> _sockets = [];
    private readonly Dictionary<EndPoint, SocketPolicy> _policies = [];
    private readonly List<string> _paths = [];

    private ListeningSockets()
    {
    }

    public IReadOnlyDictionary<EndPoint, Socket> ByEndPoint => _sockets;

    /// <summary>Null: all may be done over the socket.</summary>
    public SocketPolicy? PolicyOf(EndPoint endPoint) => _policies.GetValueOrDefault(endPoint);

    /// <exception cref="EngineException">An address is not valid, in use, or not ours to bind.</exception>
    /// <param name="sockets">Further unix sockets, with policies.</param>
    public static ListeningSockets Open(IEnumerable<string> addresses, IReadOnlyList<string> groups, ServerTls? tls = null, IReadOnlyList<ApiSocket>? sockets = null)
    {
        ListeningSockets opened = new();
        try
        {
            foreach (ListenAddress address in addresses.Select(address => ListenAddress.Parse(address, tls)).DistinctBy(address => address.Text))
            {
                opened.Open(address, groups);
            }

            foreach (ApiSocket socket in sockets ?? [])
            {
                opened.Open(socket, groups);
            }

            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (Socket socket in _sockets.Values)
        {
            socket.Dispose();
        }

        _paths.ForEach(File.Delete);
        _sockets.Clear();
        _policies.Clear();
        _paths.Clear();
    }

    private void Open(ApiSocket socket, IReadOnlyList<string> groups)
    {
        socket.Policy?.Validate();
        ListenAddress address = ListenAddress.Parse($"unix://{socket.Path}");
        if (socket.Group is { } group && HostGroups.FirstId([group]) is null)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"cannot listen on {address.Text}: there is no group \"{group}\"");
        }

        // Before anybody can connect.
        if (socket.Policy is { } policy)
        {
            _policies.Add(address.EndPoint!, policy);
        }

        Open(address, socket.Group is { } own ? [own] : groups, socket.Mode ?? SocketMode);
    }

    private void Open(ListenAddress address, IReadOnlyList<string> groups, UnixFileMode mode = SocketMode)
    {
        try
        {
            switch (address.EndPoint)
            {
                case UnixDomainSocketEndPoint unix:
                    OpenUnix(address.Text, unix, groups, mode);
                    break;
                case { } tcp:
                    OpenTcp(tcp);
                    break;
                default:
                    OpenActivated();
                    break;
            }
        }
        catch (SocketException e)
        {
            throw new EngineException(ErrorKind.System, $"cannot listen on {address.Text}: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.System, $"cannot listen on {address.Text}: {e.Message}", e);
        }
    }

    private void OpenUnix(string text, UnixDomainSocketEndPoint endPoint, IReadOnlyList<string> groups, UnixFileMode mode)
    {
        string path = endPoint.ToString();
        if (Path.GetDirectoryName(path) is { Length: > 0 } directory)
        {
            Directory.CreateDirectory(directory);
        }

        RemoveStale(text, path);
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(endPoint);
            _paths.Add(path);
            File.SetUnixFileMode(path, mode);
            if (HostGroups.FirstId(groups) is { } gid)
            {
                SocketFile.SetGroup(path, gid);
            }

            // Only from here on can anyone connect.
            socket.Listen(Backlog);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        _sockets.Add(endPoint, socket);
    }

    /// <summary>Removes the socket of a server that was killed; refuses where one answers, or where something else has the name.</summary>
    private static void RemoveStale(string text, string path)
    {
        using SafeFileHandle? file = new HostPath(path).TryOpen(OpenFlags.Path | OpenFlags.NoFollow);
        if (file is null)
        {
            return;
        }

        if (FileStatus.Of(file).Type != FileType.Socket)
        {
            throw new EngineException(ErrorKind.Conflict, $"cannot listen on {text}: there is a file of this name that is no socket");
        }

        using Socket probe = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            throw new EngineException(ErrorKind.Conflict, $"cannot listen on {text}: another server answers there");
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            File.Delete(path);
        }
    }

    private void OpenTcp(EndPoint endPoint)
    {
        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(endPoint);
            socket.Listen(Backlog);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        _sockets.Add(socket.LocalEndPoint!, socket);
    }

    /// <summary>sd_listen_fds(3): LISTEN_PID names the process that is meant, LISTEN_FDS how many descriptors follow stderr.</summary>
    private void OpenActivated()
    {
        if (Environment.GetEnvironmentVariable("LISTEN_PID") != Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture)
            || !int.TryParse(Environment.GetEnvironmentVariable("LISTEN_FDS"), out int count)
            || count <= 0)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "no sockets found via socket activation: make sure the service was started by systemd");
        }

        for (int descriptor = FirstActivatedDescriptor; descriptor < FirstActivatedDescriptor + count; descriptor++)
        {
            SocketFile.CloseOnExec(descriptor);
            Socket socket = new(new SafeSocketHandle(descriptor, ownsHandle: true));
            if (socket.LocalEndPoint is IPEndPoint { Address: var address } && !IPAddress.IsLoopback(address))
            {
                socket.Dispose();
                throw new EngineException(ErrorKind.InvalidParameter, $"refusing the activated socket {address}: plain TCP is served on loopback only");
            }

            _sockets.Add(socket.LocalEndPoint!, socket);
        }

        // Not for children: they inherit neither the sockets nor the role.
        Environment.SetEnvironmentVariable("LISTEN_PID", null);
        Environment.SetEnvironmentVariable("LISTEN_FDS", null);
        Environment.SetEnvironmentVariable("LISTEN_FDNAMES", null);
    }
}
