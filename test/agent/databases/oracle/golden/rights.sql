grant select on "APP"."LICENCE" to "FRONT";

grant create table to "FRONT";

alter user "FRONT" quota unlimited on "USERS";
