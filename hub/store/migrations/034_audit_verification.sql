-- Long work is also about what is no resource, such as the audit.
alter table job drop constraint job_object_fkey;
