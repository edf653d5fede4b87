using System.CommandLine.Completions;
using Slipway.Client;

namespace Slipway.Cli;

/// <summary>Names the shell can complete, asked from a running engine; none where none answers soon.</summary>
internal static class Completion
{
    private static readonly TimeSpan _patience = TimeSpan.FromMilliseconds(500);

    public static IEnumerable<CompletionItem> Containers(CompletionContext context) => Ask(async (client, cancellationToken) =>
        (await client.ListContainersAsync(all: true, null, size: false, null, cancellationToken).ConfigureAwait(false))
            .SelectMany(c => c.Names).Select(name => name.TrimStart('/')));

    public static IEnumerable<CompletionItem> Images(CompletionContext context) => Ask(async (client, cancellationToken) =>
        (await client.ListImagesAsync(all: false, null, cancellationToken).ConfigureAwait(false)).SelectMany(i => i.RepoTags));

    private static CompletionItem[] Ask(Func<EngineClient, CancellationToken, Task<IEnumerable<string>>> question)
    {
        // Completions are asked for synchronously, in a process that does nothing else: there is no context to deadlock on.
        Task<string[]> answer = Task.Run(async () =>
        {
            using CancellationTokenSource limit = new(_patience);
            using EngineClient client = new(Connection.AddressFromEnvironment());
            return (await question(client, limit.Token).ConfigureAwait(false)).ToArray();
        });
        return ((IAsyncResult)answer).AsyncWaitHandle.WaitOne(_patience) && answer.IsCompletedSuccessfully
            ? [.. answer.Result.Select(name => new CompletionItem(name))]
            : [];
    }
}
