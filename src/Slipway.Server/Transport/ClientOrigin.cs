using System.Security.Cryptography.X509Certificates;
using Slipway.Kernel.Sockets;
using Slipway.Server.Authorization;

namespace Slipway.Server.Transport;

/// <summary>Where a connection comes from, and what may be done over it.</summary>
/// <param name="Listener">The address it was made to.</param>
/// <param name="Process">The client's process, at a unix socket.</param>
/// <param name="Address">The client's address, by TCP.</param>
/// <param name="Policy">Null: all may be done.</param>
internal sealed record ClientOrigin(string Listener, PeerCredentials? Process, string? Address, SocketPolicy? Policy);

/// <summary>The certificate a client by TLS has shown; a feature of its connection.</summary>
internal sealed record ClientCertificate(X509Certificate2 Certificate);
