using Slipway.Grpc;

namespace Slipway.Server.BuildKit;

/// <summary>The builds that clients name, from the first time until a while after their end: others may be made from their results.</summary>
internal sealed class BuildJobs(TimeProvider time)
{
    private const int MaxNameLength = 256;
    private const int MaxJobs = 10_000;

    /// <summary>How long a build is remembered after its end, and one that nobody asked for after it was named.</summary>
    private static readonly TimeSpan s_memory = TimeSpan.FromMinutes(10);

    private readonly Dictionary<string, (BuildJob Job, long Touched, bool IsRunning)> _jobs = new(StringComparer.Ordinal);

    /// <summary>The build of a name, which there is from now on.</summary>
    /// <exception cref="GrpcException">InvalidArgument, ResourceExhausted.</exception>
    public BuildJob Named(string reference)
    {
        lock (_jobs)
        {
            return Touch(reference, isRunning: null).Job;
        }
    }

    /// <summary>Null: no build of the name is known any more.</summary>
    public BuildJob? Find(string reference)
    {
        lock (_jobs)
        {
            return _jobs.TryGetValue(reference, out (BuildJob Job, long Touched, bool IsRunning) entry) ? entry.Job : null;
        }
    }

    /// <summary>Begins the build of a name.</summary>
    /// <exception cref="GrpcException">AlreadyExists: there was one.</exception>
    public BuildJob Begin(string reference)
    {
        lock (_jobs)
        {
            (BuildJob job, _, bool isRunning) = Touch(reference, isRunning: null);
            if (isRunning || job.Built.IsCompleted)
            {
                throw new GrpcException(GrpcStatusCode.AlreadyExists, $"job ID {reference} exists");
            }

            Touch(reference, isRunning: true);
            return job;
        }
    }

    public void End(BuildJob job)
    {
        lock (_jobs)
        {
            Touch(job.Reference, isRunning: false);
        }
    }

    private (BuildJob Job, long Touched, bool IsRunning) Touch(string reference, bool? isRunning)
    {
        if (reference.Length is 0 or > MaxNameLength)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, "a build needs a ref of at most 256 characters");
        }

        foreach ((string old, (_, long touched, bool running)) in _jobs.ToList())
        {
            if (!running && old != reference && time.GetElapsedTime(touched) > s_memory)
            {
                _jobs.Remove(old);
            }
        }

        if (!_jobs.TryGetValue(reference, out (BuildJob Job, long Touched, bool IsRunning) entry))
        {
            if (_jobs.Count >= MaxJobs)
            {
                throw new GrpcException(GrpcStatusCode.ResourceExhausted, "too many builds");
            }

            entry.Job = new BuildJob(reference);
        }

        return _jobs[reference] = (entry.Job, time.GetTimestamp(), isRunning ?? entry.IsRunning);
    }
}
