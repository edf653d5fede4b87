using Slipway.BuildKit.Protocol;
using Slipway.BuildKit.Sessions;
using Slipway.Grpc;
using Slipway.Storage.Threading;

namespace Slipway.BuildKit.Files;

/// <summary>A directory that a client shows over its session.</summary>
/// <param name="name">By which the client knows it: <c>context</c>, <c>dockerfile</c>.</param>
public sealed class ClientDirectory(ClientSession session, ContextStore store, string name)
{
    /// <summary>Brings a selection of files here.</summary>
    /// <param name="include">Paths with wildcards, links in them followed by the client; empty: everything.</param>
    /// <param name="exclude">Lines of a <c>.dockerignore</c>.</param>
    /// <param name="progress">Told of the bytes of each packet, from a thread.</param>
    /// <returns>A tree to be given back (<see cref="ReturnAsync"/>).</returns>
    /// <exception cref="GrpcException">What the client says, or does, wrong.</exception>
    public async Task<ContextTree> SyncAsync(IReadOnlyList<string> include, IReadOnlyList<string> exclude, Action<long> progress, CancellationToken cancellationToken)
    {
        session.Require(SessionMethods.DiffCopy);

        // Without a key nobody can tell whose directory it is: it is kept for this session alone.
        string owner = session.SharedKey.Length > 0 ? "key\n" + session.SharedKey : "session\n" + session.Id;
        string selection = string.Join('\n', [.. include, "", .. exclude]);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, session.Ended);
        (ContextTree tree, TreeWriter writer, IReadOnlyList<ContextTree> siblings) = await WorkerThread.RunAsync("context-tree", () => Begin($"{owner}\n{name}", selection));
        try
        {
            using (writer)
            {
                await FileReceiver.ReceiveAsync(
                    token => session.Channel.OpenAsync(SessionMethods.DiffCopy, FilePacket.Parser, Headers(include, exclude), token), writer, progress, end.Token);
            }

            return tree;
        }
        catch
        {
            await ReturnAsync(tree);
            throw;
        }
        finally
        {
            foreach (ContextTree sibling in siblings)
            {
                sibling.Dispose();
            }
        }
    }

    /// <summary>The build is done with a tree.</summary>
    public Task ReturnAsync(ContextTree tree) => WorkerThread.RunAsync("context-tree", () =>
    {
        store.Return(tree);
        return true;
    });

    private (ContextTree, TreeWriter, IReadOnlyList<ContextTree>) Begin(string directory, string selection)
    {
        ContextTree tree = store.Take(directory, selection);
        try
        {
            IReadOnlyList<ContextTree> siblings = store.Siblings(tree);
            return (tree, new TreeWriter(tree, siblings), siblings);
        }
        catch
        {
            store.Return(tree);
            throw;
        }
    }

    private IEnumerable<KeyValuePair<string, string>> Headers(IReadOnlyList<string> include, IReadOnlyList<string> exclude) =>
        [new("dir-name", name), .. Metadata.Encode("followpaths", include), .. Metadata.Encode("exclude-patterns", exclude)];
}
